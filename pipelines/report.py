#!/usr/bin/env python3
"""Write the attribution report of a dataset: who made what, under which licence, what was left out and why.

Markdown, CSV, JSON and a self-contained HTML page. With --checkpoint: only the works that those weights have
seen.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # a Ray job or a fresh clone runs this without installing the package


def main() -> int:
    """Parse, load, wire."""
    from sao_data.commands import common
    from sao_data.commands.arguments import Parser
    from sao_data.dataset import report
    from sao_data.dataset.reader import open_dataset
    from sao_data.loading.heard import works
    from sao_data.storage.backend import open_storage

    parser = Parser(description=__doc__)
    parser.add_argument("--data", metavar="DIR", required=True, help="dataset directory or URL")
    parser.add_argument("--out", metavar="DIR", required=True, help="where the report goes")
    parser.add_argument("--checkpoint", metavar="CKPT", help="checkpoint folder with training_data.json")
    args = parser.parse_args()
    out = common.output(args.out, "report", ROOT)
    dataset, where = open_dataset(args.data), open_storage(out)
    if args.checkpoint:
        heard = works.seen_samples(dataset, Path(args.checkpoint))
        info = report.write(dataset, where, heard, heard.remarks(Path(args.checkpoint).name))
    else:
        info = report.write(dataset, where)
    sys.stdout.write(
        f"{info.kept} works by {info.num_authors} authors, {info.rejected} left out: {out}/index.html\n"
    )
    return 0


if __name__ == "__main__":
    from sao_data.commands.common import guard

    sys.exit(guard(main))
