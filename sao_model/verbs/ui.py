"""A page to generate on, in the browser: prompt, settings, a sound to begin with, and all that was made.

MODEL is a checkpoint, a training's run (its latest checkpoint), or a published folder. The page is served on
this machine alone unless --host says otherwise; it loads nothing from elsewhere and sends nothing. Its
address is the one line on standard output. Ctrl-C ends it. It needs: pip install 'sao[ui]'
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "a page to generate on, in the browser"

_LOCAL = "127.0.0.1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("model", metavar="MODEL", help="checkpoint, run, or published folder")
    add(
        "--lora",
        metavar="A:STRENGTH",
        action="append",
        default=[],
        help="adapter put into it; several add up",
    )
    add("--out", metavar="DIR", default="out/ui", help="where sounds and history lie (default: out/ui)")
    add("--report", metavar="DIR", default="", help="attribution report to link to (pipelines/report.py)")
    add("--host", default=_LOCAL, help=f"address to listen on (default: {_LOCAL}; there is no password)")
    add("--port", type=int, default=7860, help="port, 0 for any free one (default: 7860)")
    add("--device", default="", help="cpu, cuda or cuda:1 (default: the GPU if there is one)")
    add(
        "--precision",
        choices=("fp32", "bf16"),
        default="fp32",
        help="of the transformer (default: float32)",
    )


def run(args: argparse.Namespace) -> int:
    """Check, say what is unsafe, serve until a signal ends it."""
    from sao_data.commands import common
    from sao_data.errors import UsageError
    from sao_model import devices, opened
    from sao_model.adapters import attached
    from sao_model.ui import address, heard

    if not Path(args.model).is_dir():
        raise UsageError(f"{args.model}: no such folder; give a checkpoint, or a run that has some")
    found = opened.find(args.model)
    described = found.describe()
    adapters = attached.find(args.lora, found)
    devices.check_precision(args.precision, devices.device(args.device))
    report = Path(args.report).absolute() if args.report else None
    known = heard.heard(found.folder, report, tuple((each.name, each.folder) for each in adapters))
    out = common.output_folder(args.out, "ui")
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out}: not a folder; give one")
    _check_extra()
    listening = address.listen(args.host, args.port)
    if not address.is_loopback(listening):
        common.note(f"--host {args.host}: whoever reaches this machine can use the page; it has no password")
    from sao_model.ui import server
    from sao_model.ui.maker import Maker

    out.mkdir(parents=True, exist_ok=True)
    maker = Maker(args.model, out, device=args.device, precision=args.precision, loras=tuple(args.lora))
    server.serve(described.config, maker, known, listening, report)
    return 0


def _check_extra() -> None:
    """UsageError without Gradio; nothing of it is sent or asked for at run time."""
    import importlib.util
    import os

    from sao_data.errors import UsageError

    if importlib.util.find_spec("gradio") is None:
        raise UsageError("the page needs Gradio, which is not installed; pip install 'sao[ui]'")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
