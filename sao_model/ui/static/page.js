/* Regions on a waveform. The text field has them; drag, click and typing change it, and it is drawn. */
(() => {
  "use strict";
  const field = () => document.querySelector("#regions textarea, #regions input");
  const number = "(\\d+(?:\\.\\d*)?|\\.\\d+)";
  const region = new RegExp(`^${number}\\s*(?:-|–|—|to)\\s*${number}\\s*s?$`);
  const shown = ([start, end]) => `${start.toFixed(2)}-${end.toFixed(2)}`;
  let drag = null;

  function read() {
    const found = [];
    for (const part of (field()?.value ?? "").split(/[,;\n]/)) {
      const match = region.exec(part.trim());
      if (match && +match[1] < +match[2]) found.push([+match[1], +match[2]]);
    }
    return merged(found);
  }

  function merged(regions) {
    const done = [];
    for (const [start, end] of regions.sort((a, b) => a[0] - b[0])) {
      const last = done[done.length - 1];
      if (last && start <= last[1]) last[1] = Math.max(last[1], end);
      else done.push([start, end]);
    }
    return done;
  }

  function write(regions) {
    const box = field();
    if (!box) return;
    const kind = box.tagName === "TEXTAREA" ? HTMLTextAreaElement : HTMLInputElement;
    Object.getOwnPropertyDescriptor(kind.prototype, "value").set.call(box, regions.map(shown).join(", "));
    box.dispatchEvent(new Event("input", { bubbles: true }));
    draw();
  }

  function draw() {
    for (const editor of document.querySelectorAll(".sao-editor")) {
      const seconds = +editor.dataset.seconds;
      const regions = read();
      const marks = regions.map(([start, end]) => mark(start, end, seconds));
      if (drag?.moved) marks.push(mark(...drag.range, seconds));
      editor.querySelector(".sao-marks").replaceChildren(...marks);
      editor.querySelector(".sao-chips").replaceChildren(...regions.map(chip));
      editor.querySelector(".sao-now").textContent = drag?.moved ? `${shown(drag.range).replace("-", " to ")} s` : "";
    }
  }

  function mark(start, end, seconds) {
    const box = document.createElement("div");
    box.className = "sao-mark";
    box.style.left = `${(100 * start) / seconds}%`;
    box.style.width = `${(100 * (Math.min(end, seconds) - start)) / seconds}%`;
    return box;
  }

  function chip(one, at) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `${one[0].toFixed(2)} – ${one[1].toFixed(2)} s  ✕`;
    button.setAttribute("aria-label", `remove the region from ${one[0].toFixed(2)} to ${one[1].toFixed(2)} seconds`);
    button.addEventListener("click", () => write(read().filter((_, other) => other !== at)));
    item.append(button);
    return item;
  }

  function time(pad, event) {
    const box = pad.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    return share * +pad.closest(".sao-editor").dataset.seconds;
  }

  document.addEventListener("pointerdown", (event) => {
    const pad = event.button === 0 && event.target.closest?.(".sao-pad");
    if (!pad) return;
    drag = { pad, x: event.clientX, from: time(pad, event), moved: false, range: [0, 0] };
    event.preventDefault();
  });
  document.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const at = time(drag.pad, event);
    drag.moved ||= Math.abs(event.clientX - drag.x) > 4;
    drag.range = [Math.min(drag.from, at), Math.max(drag.from, at)];
    if (drag.moved) draw();
  });
  document.addEventListener("pointerup", () => {
    if (!drag) return;
    const { moved, range, from } = drag;
    drag = null;
    if (moved && range[1] - range[0] >= 0.01) write(merged([...read(), range]));
    else if (!moved && read().some(([start, end]) => start <= from && from <= end))
      write(read().filter(([start, end]) => from < start || from > end));
    else draw();
  });
  document.addEventListener("pointercancel", () => {
    drag = null;
    draw();
  });
  document.addEventListener("input", (event) => {
    if (event.target === field()) draw();
  });
  /* one player at a time */
  document.addEventListener("play", (event) => {
    for (const other of document.querySelectorAll("audio")) if (other !== event.target) other.pause();
  }, true);
  /* a folded part of the page is only put there once it is opened */
  new MutationObserver(() => {
    const fresh = document.querySelector(".sao-editor:not([data-drawn])");
    if (!fresh || !field()) return;
    fresh.dataset.drawn = "";
    window.saoDraw();
  }).observe(document, { childList: true, subtree: true });
  window.saoDraw = () => requestAnimationFrame(() => requestAnimationFrame(draw));
})();
