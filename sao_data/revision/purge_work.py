"""Take works out of all that is kept beside the published files: every package forgets what it keeps of them.

The published files themselves (shards, tables, evidence, fingerprints, reports) are written anew without them
by rewrite.py.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sao_data import plugins
from sao_data.revision import recheck
from sao_data.screening import audit
from sao_data.stages import amend, originals, refresh
from sao_data.storage import layout
from sao_data.storage.backend import Storage


def purge(
    storage: Storage, buckets: Collection[int], ids: Collection[str], plugin_names: Sequence[str]
) -> None:
    """Leave nothing of these recordings but that they were listed. `buckets`: theirs; `plugin_names`: the
    manifest's sources, in its order."""
    gone = frozenset(ids)
    amend.forget(storage, buckets, gone)
    for bucket in sorted(buckets):
        originals.forget(storage, bucket, gone)
        refresh.forget(storage, bucket, gone)
    for place, name in enumerate(plugin_names):
        _forget_listing(storage, name, f"{layout.SOURCES}/{place}-{name}", gone)
    audit.forget_answers(storage, gone)
    recheck.forget(storage, gone)


def _forget_listing(storage: Storage, plugin: str, folder: str, ids: frozenset[str]) -> None:
    """Have a remote source take them out of what it remembers of its own listing: those of ours whose module
    has `forget(storage, folder, ids)`."""
    module = plugins.load("sources", plugin) if "." not in plugin else None
    forget = getattr(module, "forget", None)
    if forget:
        forget(storage, folder, ids)
