"use strict";
// The page of `sao browse`. All foreign text goes in by textContent or as an attribute of our own making.
const { sounds, units } = JSON.parse(document.getElementById("data").textContent);
const by = (id) => document.getElementById(id);
const STEP = 48;
const kept = "sao flags " + document.title;
let flags = {};
try { flags = JSON.parse(localStorage.getItem(kept) || "{}"); } catch { flags = {}; }
let range = null;
let shown = STEP;
let at = -1;

const make = (tag, properties, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((each) => each !== null));
  return element;
};
const value = (sound, name) => (name === "seconds" ? sound.seconds : sound.measures[name]);
const words = (sound) => [sound.title, sound.author, sound.caption, sound.id, sound.key, ...sound.tags].join("\n").toLowerCase();

function option(select, text, title) {
  select.append(make("option", { value: text, textContent: title || text }));
}

for (const [id, name] of [["reason", "reason"], ["licence", "licence"], ["source", "source"]]) {
  [...new Set(sounds.map((sound) => sound[name]).filter(Boolean))].sort().forEach((text) => option(by(id), text));
}
for (const [name, unit] of Object.entries(units)) {
  if (sounds.some((sound) => name in sound.measures)) {
    const title = name.replaceAll("_", " ") + (unit ? ", " + unit : "");
    option(by("measure"), name, title);
    option(by("order"), name, title);
  }
}

function chosen(ignoreRange) {
  const asked = by("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const which = by("which").value;
  const found = sounds.filter((sound) =>
    (!which || (which === "flagged" ? sound.id in flags : (which === "kept") === Boolean(sound.key))) &&
    ["reason", "licence", "source"].every((name) => !by(name).value || sound[name] === by(name).value) &&
    asked.every((word) => words(sound).includes(word)) &&
    (ignoreRange || !range || (value(sound, by("measure").value) >= range[0] && value(sound, by("measure").value) <= range[1])));
  const order = by("order").value;
  if (order) found.sort((a, b) => (value(a, order) ?? Infinity) - (value(b, order) ?? Infinity));
  return found;
}

function histogram() {
  const name = by("measure").value;
  const values = chosen(true).map((sound) => value(sound, name)).filter((each) => each !== undefined);
  const low = Math.min(...values), high = Math.max(...values), num = 24;
  const columns = make("div", { className: "columns-of" });
  if (values.length) {
    const width = (high - low) / num || 1;
    const counts = Array(num).fill(0);
    values.forEach((each) => { counts[Math.min(num - 1, Math.floor((each - low) / width))] += 1; });
    counts.forEach((count, n) => {
      const from = low + n * width, to = from + width;
      const title = `${from.toPrecision(4)} to ${to.toPrecision(4)}: ${count}`;
      const column = make("button", { type: "button", title, ariaLabel: title });
      column.style.height = `${count ? 4 + 96 * count / Math.max(...counts) : 1}%`;
      column.ariaPressed = String(Boolean(range) && range[0] === from);
      column.addEventListener("click", () => { range = range && range[0] === from ? null : [from, to]; shown = STEP; draw(); });
      columns.append(column);
    });
    columns.append();
  }
  const ends = values.length ? `${low.toPrecision(4)} to ${high.toPrecision(4)} ${units[name] ?? "s"}; a column shows only its sounds` : "not measured";
  by("histogram").replaceChildren(columns, make("p", { className: "quiet", textContent: ends }));
}

function facts(sound) {
  const list = make("dl", {});
  const tell = (name, text) => { if (text) list.append(make("dt", { textContent: name }), make("dd", {}, make("bdi", { textContent: text }))); };
  tell("length", sound.seconds ? `${sound.seconds} s` : "");
  tell("why not", sound.reason && `${sound.reason}${sound.detail ? ": " + sound.detail : ""}`);
  tell("caption", sound.caption);
  tell("tags", sound.tags.join(", "));
  tell("changes", sound.changes.join(" "));
  for (const [name, number] of Object.entries(sound.measures)) tell(name.replaceAll("_", " "), `${number} ${units[name]}`.trim());
  tell("credit", sound.credit);
  tell("id", sound.key || sound.id);
  return list;
}

function player(sound) {
  const file = sound.audio || sound.original;
  if (!file) return make("p", { className: "quiet", textContent: "No audio at hand; the page of the work has it." });
  const audio = make("audio", { controls: true, preload: "none", src: file });
  if (!sound.original || !sound.audio) return audio;
  const change = make("button", { type: "button", className: "ab", textContent: "Hear the original" });
  change.addEventListener("click", () => {
    const time = audio.currentTime, playing = !audio.paused;
    const isOriginal = audio.dataset.which === "original";
    audio.dataset.which = isOriginal ? "processed" : "original";
    audio.src = isOriginal ? sound.audio : sound.original;
    change.textContent = isOriginal ? "Hear the original" : "Hear the processed one";
    audio.addEventListener("loadedmetadata", () => { audio.currentTime = time; if (playing) audio.play(); }, { once: true });
    audio.load();
  });
  return make("div", {}, audio, change);
}

function wave(sound) {
  if (!sound.wave) return null;
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg"), path = document.createElementNS(space, "path");
  svg.setAttribute("viewBox", "0 0 400 48");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", "wave");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", sound.wave);
  path.setAttribute("stroke", "currentColor");
  svg.append(path);
  return svg;
}

function card(sound) {
  const name = make("bdi", { textContent: sound.title || sound.id });
  const isLink = /^https?:\/\//.test(sound.page_url);
  const title = make("h3", {}, isLink ? make("a", { href: sound.page_url, rel: "noreferrer noopener" }, name) : name);
  const flag = make("button", { type: "button", className: "flag", ariaPressed: String(sound.id in flags) });
  flag.textContent = sound.id in flags ? "Flagged" : "Flag";
  flag.addEventListener("click", () => toggle(sound));
  const item = make("li", { tabIndex: -1 },
    title,
    make("p", { className: "quiet" }, make("bdi", { textContent: `${sound.author || "an unnamed author"}, ${sound.licence || "no licence"}` })),
    wave(sound),
    sound.picture ? make("img", { src: sound.picture, alt: "Mel spectrogram", loading: "lazy", width: 400, height: 72 }) : null,
    player(sound), flag, facts(sound));
  item.dataset.id = sound.id;
  item.className = `${sound.key ? "" : "left-out"} ${sound.id in flags ? "flagged" : ""}`.trim();
  return item;
}

function toggle(sound) {
  if (sound.id in flags) delete flags[sound.id];
  else flags[sound.id] = window.prompt("Why? (goes into the file; no names)", "") ?? "";
  try { localStorage.setItem(kept, JSON.stringify(flags)); } catch { /* private windows keep nothing */ }
  draw();
}

function draw() {
  const found = chosen(false);
  by("list").replaceChildren(...found.slice(0, shown).map(card));
  by("more").hidden = found.length <= shown;
  const num = Object.keys(flags).length;
  by("told").textContent = `${found.length} of ${sounds.length} sounds${num ? `, ${num} flagged` : ""}`;
  by("export").disabled = !num;
  histogram();
}

function table() {
  const cell = (text) => `"${(/^[=+\-@\t\r]/.test(text) ? "'" + text : text).replaceAll('"', '""')}"`;
  const lines = Object.entries(flags).sort().map(([id, note]) => [id, "deny", "", "", note].map(cell).join(","));
  return ["id,verdict,who,when,note", ...lines].join("\r\n") + "\r\n";
}

by("export").addEventListener("click", () => {
  const link = make("a", { href: URL.createObjectURL(new Blob([table()], { type: "text/csv" })), download: "flags.csv" });
  link.click();
  URL.revokeObjectURL(link.href);
});
by("more").addEventListener("click", () => { shown += STEP; draw(); });
for (const id of ["search", "which", "reason", "licence", "source", "order", "measure"]) {
  by(id).addEventListener("input", () => { if (id === "measure") range = null; shown = STEP; at = -1; draw(); });
}
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
  const items = [...by("list").children];
  const here = items[at];
  const press = {
    "/": () => by("search").focus(),
    j: () => items[(at = Math.min(items.length - 1, at + 1))]?.focus(),
    k: () => items[(at = Math.max(0, at - 1))]?.focus(),
    " ": () => { const audio = here?.querySelector("audio"); if (audio) audio.paused ? audio.play() : audio.pause(); },
    a: () => here?.querySelector(".ab")?.click(),
    f: () => here?.querySelector(".flag")?.click(),
  }[event.key];
  if (press) { event.preventDefault(); press(); }
});
draw();
