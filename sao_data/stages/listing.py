"""Listing: ask every source for its offers, make ids unique, distribute the recordings to buckets.

Runs in the driver: sources are asked once, in order. Where an id is offered twice the stricter offer is kept,
then the richer, and the others are counted (`duplicate_id`); which one wins does not depend on the order of
the sources. What others say differently of the rights is kept with it: a richer row must not win over a
stricter one, and of two that name different authors a person says whose the work is. What any of them asks
for (a credit line, a notice, a mark, a wish) stands, also where the one that counts lacks it
(`merge_requests`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sao_data import config
from sao_data.ids import bucket_of, check_id, id_hash
from sao_data.licences import normalise_preference, parse_fields
from sao_data.licences.later import num_met
from sao_data.manifest import Manifest
from sao_data.plugins import Source
from sao_data.records import Offer, Recording, Rejection
from sao_data.stages import text_limits
from sao_data.stages.base import Part, content_part, publish_rows
from sao_data.storage.backend import Storage

LIST = "list"
_ASKS = {"CC0": 0, "BY": 1, "SAMPLING+": 2}  # what a licence asks for; others ask for more


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One recording as listed, with the raw row it was read from and how often its id was offered."""

    recording: Recording
    raw: str
    source_index: int  # which [[source]] of the manifest opens it
    num_offers: int
    others: tuple[Offer, ...] = ()  # further offers that say otherwise of the rights: the strictest counts
    earlier_raw: str = ""  # an earlier reading that said otherwise; kept as evidence


def id_only(row: Listed) -> Listed:
    """What is left of a work that was taken down: that it was offered, under this id."""
    recording = Recording(id=row.recording.id, source=row.recording.source)
    return dataclasses.replace(row, recording=recording, raw="", others=(), earlier_raw="")


@dataclass(slots=True, kw_only=True)
class Listing:
    """Everything offered, by id."""

    rows: dict[str, Listed]
    rejections: list[Rejection]  # rows that name no usable recording; a repeated row stands here twice
    remarks: tuple[str, ...] = ()  # what the sources want said of the rows that they read

    @property
    def num_offered(self) -> int:
        return sum(row.num_offers for row in self.rows.values()) + len(self.rejections)


def ask(manifest: Manifest, sources: list[Source], tick: Callable[[int], None] | None = None) -> Listing:
    """Collect every source's offers; `tick` is called for each."""
    listing = Listing(rows={}, rejections=[])
    for index, source in enumerate(sources):
        offers: Iterator[Offer | Rejection] = source.offers()
        for offer in itertools.islice(offers, manifest.limit or None):
            if isinstance(offer, Rejection):
                listing.rejections.append(offer)
            elif problem := text_limits.problem(offer.recording):
                key = offer.recording.id
                listing.rejections.append(
                    Rejection(id=key, stage=LIST, reason="bad_metadata", detail=problem)
                )
            else:
                _add(listing, offer, index)
            if tick:
                tick(1)
        listing.remarks += getattr(source, "remarks", tuple)()
    _fold_rejections(listing)
    for key, row in listing.rows.items():
        if row.others:
            listing.rows[key] = dataclasses.replace(row, recording=merge_offers(row.recording, row.others))
    return listing


def merge_requests(recording: Recording, others: Iterable[Recording]) -> Recording:
    """The recording with all credit lines, notices and marks that any offer of the same work states, whatever
    their order. (Of wishes the judgement takes the strictest: `strictest_wish`.)"""
    others = tuple(others)
    return dataclasses.replace(
        recording,
        requested_credit=_all_said(recording.requested_credit, (o.requested_credit for o in others)),
        copyright_notice=_all_said(recording.copyright_notice, (o.copyright_notice for o in others)),
        is_explicit=recording.is_explicit or any(other.is_explicit for other in others),
        is_remix=recording.is_remix or any(other.is_remix for other in others),
    )


def merge_offers(recording: Recording, others: Iterable[Offer]) -> Recording:
    """The same, of offers."""
    return merge_requests(recording, (offer.recording for offer in others))


def strictest_wish(own: str, others: Iterable[str]) -> str:
    """The wish that the fewest releases meet, one that is understood first; the own one where equal."""
    stated = [own, *sorted(wish for wish in others if normalise_preference(wish) != "")]
    return min(stated, key=_strictness)


def _strictness(wish: str) -> tuple[int, bool, bool]:
    meaning = normalise_preference(wish)
    return num_met(wish), meaning is None, meaning == ""


def _all_said(own: str, others: Iterable[str]) -> str:
    """The own words, then those of others that are not among them."""
    said = own.strip()
    for text in sorted({other.strip() for other in others}):
        if text and text.casefold() not in said.casefold():
            said = f"{said}; {text}" if said else text
    return said if said != own.strip() else own


def _fold_rejections(listing: Listing) -> None:
    """A bad offer of an id that was also offered well counts as a repeat of it: one id, one row."""
    others = []
    for rejection in listing.rejections:
        row = listing.rows.get(rejection.id)
        if row is None:
            others.append(rejection)
        else:
            listing.rows[rejection.id] = dataclasses.replace(row, num_offers=row.num_offers + 1)
    listing.rejections = others


def publish(storage: Storage, listing: Listing, num_buckets: int) -> list[Part]:
    """Write one part per bucket, empty ones included; return them in the order of the buckets."""
    return [
        publish_rows(storage, LIST, bucket, Listed, rows, rejections)
        for bucket, (rows, rejections) in enumerate(_by_bucket(listing, num_buckets))
    ]


def parts(listing: Listing, num_buckets: int) -> list[Part]:
    """The parts that `publish` would write."""
    return [
        content_part(LIST, bucket, Listed, rows, rejections)[0]
        for bucket, (rows, rejections) in enumerate(_by_bucket(listing, num_buckets))
    ]


def _by_bucket(listing: Listing, num_buckets: int) -> list[tuple[list[Listed], list[Rejection]]]:
    """Rows and rejections of each bucket, ordered by sha256 of their ids."""
    dealt: list[tuple[list[Listed], list[Rejection]]] = [([], []) for _ in range(num_buckets)]
    for recording_id in sorted(listing.rows, key=id_hash):
        dealt[bucket_of(recording_id, num_buckets)][0].append(listing.rows[recording_id])
    for rejection in sorted(listing.rejections, key=lambda r: (id_hash(r.id), r.reason, r.detail)):
        dealt[bucket_of(rejection.id, num_buckets)][1].append(rejection)
    return dealt


def _add(listing: Listing, offer: Offer, index: int) -> None:
    recording = utf8_only(offer.recording)
    check_id(recording.id)
    row = Listed(recording=recording, raw=_utf8(offer.raw), source_index=index, num_offers=1)
    known = listing.rows.get(recording.id)
    if known is None:
        listing.rows[recording.id] = row
        return
    best, other = (known, row) if _rank(known) >= _rank(row) else (row, known)
    listing.rows[recording.id] = dataclasses.replace(
        best, num_offers=known.num_offers + 1, others=_others(best, (*known.others, _as_offer(other)))
    )


def _as_offer(row: Listed) -> Offer:
    return Offer(recording=row.recording, raw=row.raw)


def _others(best: Listed, offers: tuple[Offer, ...]) -> tuple[Offer, ...]:
    """Offers that differ from the one that counts in what rights rest on, each once, in one order."""
    differing = {offer.raw: offer for offer in offers if _rights(offer.recording) != _rights(best.recording)}
    return tuple(differing[raw] for raw in sorted(differing))


def _rights(recording: Recording) -> tuple[object, ...]:
    said = recording
    return (
        said.license_url,
        said.license_claim,
        said.ai_preference,
        said.author_id,
        said.author,
        said.is_explicit,
        said.is_remix,
        said.category,
        said.description,
        said.requested_credit,
        said.copyright_notice,
    )


def _rank(row: Listed) -> tuple[object, ...]:
    """The stricter offer wins, then the richer: what asks for less must not hide what asks for more. An offer
    that says nothing of a licence says nothing against another's."""
    said = parse_fields(row.recording.license_url, row.recording.license_claim)
    asks = _ASKS.get(said.family, 3) if not said.silent else -1
    return asks, -num_met(row.recording.ai_preference), *_richness(row)


def _richness(row: Listed) -> tuple[int, int, str]:
    """More stated fields win, then more text, then the digest: an order that no listing order can change."""
    plain = config.canonical(row.recording)
    assert isinstance(plain, dict)
    text = json.dumps(plain, sort_keys=True)
    num_stated = sum(1 for value in plain.values() if value not in ("", [], None))
    return num_stated, len(text), hashlib.sha256(text.encode()).hexdigest()


def utf8_only(recording: Recording) -> Recording:
    """Replace what UTF-8 cannot hold (lone surrogates) and NUL by U+FFFD; all else stays verbatim."""
    changes: dict[str, Any] = {}
    for item in dataclasses.fields(recording):
        value = getattr(recording, item.name)
        if isinstance(value, str) and (clean := _utf8(value)) != value:
            changes[item.name] = clean
        elif isinstance(value, tuple) and (items := tuple(_utf8(v) for v in value)) != value:
            changes[item.name] = items
    return dataclasses.replace(recording, **changes) if changes else recording


def _utf8(text: str) -> str:
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").replace("\0", "\ufffd")
