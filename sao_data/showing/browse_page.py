"""The page of `sao browse`: players, pictures, captions, measures; searched, filtered and flagged in the page
itself, which needs no network and loads nothing but its own files.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files

from markupsafe import Markup

from sao_data import __version__
from sao_data.attribution.page import render
from sao_data.attribution.plain import count, one_line
from sao_data.dataset.reader import Dataset
from sao_data.showing.browsing import MEASURES, Browsed, BrowsedSound


def page(dataset: Dataset, chosen: Browsed, sounds: Sequence[BrowsedSound]) -> bytes:
    """The page; who calls it has written the files that it names."""
    facts = dataset.facts
    script = files("sao_data.showing").joinpath("browse.js").read_text(encoding="utf-8")
    hashed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return render(
        "browse.html.j2",
        info={"tool_version": __version__, "version": facts["version"]},
        title=f"{one_line(str(facts['name']))}: look and listen",
        name=facts["name"],
        statement=statement(chosen),
        script=Markup(script),  # ours, and hashed in the page's policy
        script_hash=Markup(f"'sha256-{hashed}'"),
        data=Markup(embedded({"sounds": [asdict(each) for each in sounds], "units": MEASURES})),
    )


def statement(chosen: Browsed) -> str:
    """How much is shown of how much."""
    said = f"{count(len(chosen.kept), 'sound')} of {chosen.num_kept:,} in the dataset"
    return f"{said}, and {len(chosen.dropped):,} of the {chosen.num_dropped:,} works that were left out."


def embedded(value: object) -> str:
    """JSON as the content of a <script> that is not run: nothing in it can end the element."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, sort_keys=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
