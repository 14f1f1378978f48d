"""Ask the provider about every work, once; what it answers is kept, and hits become objections.

Responses lie under work/identify/PROVIDER/SHA256.json, named by the hash of what was sent, so that nothing is
sent twice, whatever stopped a run. Rows are sorted by recording id; there is no clock in them.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable
from typing import Any

from sao_data.errors import IntegrityError
from sao_data.records import Objection
from sao_data.screening import acoustid, audit
from sao_data.screening.catalogue_match import KnownTitles
from sao_data.screening.config import Screening
from sao_data.screening.rows import AuditRow, Hit, MusicWork
from sao_data.storage.backend import Storage

STAGE = "screen"

_NO_FINGERPRINT = "no fingerprint: silent, or too short for one"

Ask = Callable[[MusicWork], AuditRow]

log = logging.getLogger(__name__)


def identify(
    works: Iterable[MusicWork],
    screening: Screening,
    storage: Storage,
    *,
    service: acoustid.AcoustId | None = None,
) -> tuple[tuple[Objection, ...], tuple[AuditRow, ...]]:
    """Objections and the audit, both sorted by recording id. `service` stands in for AcoustID in tests."""
    if screening.provider == "off":
        return (), ()
    ask = _asker(screening, storage, service)
    sent = tuple(ask(work) for work in sorted(works, key=lambda work: work.recording_id))
    objections = tuple(found for row in sent if (found := _objection(row, screening)))
    log.info("screening (%s): %d works, %d objections", screening.provider, len(sent), len(objections))
    return objections, sent


def _asker(screening: Screening, storage: Storage, service: acoustid.AcoustId | None) -> Ask:
    if screening.provider == "catalogue":
        catalogue = KnownTitles(screening.catalogue, screening.min_score)
        return lambda work: _looked_up(work, catalogue)
    if screening.provider == "dry-run":
        return lambda work: _would_be_sent(work, screening)
    asked = service or acoustid.AcoustId(screening.acoustid_url, acoustid.key_from_environment())
    return lambda work: _asked(work, screening, storage, asked)


def _looked_up(work: MusicWork, catalogue: KnownTitles) -> AuditRow:
    """Compared on this machine; the response is the catalogue itself."""
    what = json.dumps({"artist": work.author, "title": work.title}, ensure_ascii=False)
    hits = catalogue.find(work.title, work.author)
    row = _row(work, provider="catalogue", what=what, hits=hits, response_sha256=catalogue.sha256)
    return AuditRow(**row, host="", status="looked_up_locally", note="")


def _would_be_sent(work: MusicWork, screening: Screening) -> AuditRow:
    if not work.fingerprint:
        return _impossible(work, screening)
    row = _row(work, provider="dry-run", what=_text(work, screening))
    return AuditRow(**row, host=acoustid.host_of(screening.acoustid_url), status="would_be_sent", note="")


def _asked(work: MusicWork, screening: Screening, storage: Storage, service: acoustid.AcoustId) -> AuditRow:
    """From the stored answers, or from AcoustID, whose answer is stored."""
    if not work.fingerprint:
        return _impossible(work, screening)
    what = _text(work, screening)
    name = audit.answer_name("acoustid", what)
    if not storage.exists(name):
        storage.write(name, service.lookup(acoustid.form(work.fingerprint, work.seconds)))
    response = storage.read(name)
    try:
        hits, refusal = acoustid.hits_of(response, screening.min_acoustid_score)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(
            f"{storage.url}/{name}: not a response of AcoustID ({error!r}); delete it and run again"
        ) from error
    digest = hashlib.sha256(response).hexdigest()
    row = _row(work, provider="acoustid", what=what, hits=hits, response_sha256=digest)
    host = acoustid.host_of(screening.acoustid_url)
    return AuditRow(**row, host=host, status="impossible" if refusal else "sent", note=refusal)


def _impossible(work: MusicWork, screening: Screening) -> AuditRow:
    row = _row(work, provider=screening.provider, what="")
    return AuditRow(**row, host="", status="impossible", note=_NO_FINGERPRINT)


def _text(work: MusicWork, screening: Screening) -> str:
    """What is sent, and where: the address belongs to it, so that a stand-in's answers count for it alone."""
    return f"POST {screening.acoustid_url} {acoustid.form(work.fingerprint, work.seconds)}"


def _row(
    work: MusicWork, *, provider: str, what: str, hits: tuple[Hit, ...] = (), response_sha256: str = ""
) -> dict[str, Any]:
    """The fields that every status has."""
    best = hits[0] if hits else None
    return {
        "recording_id": work.recording_id,
        "provider": provider,
        "what": what,
        "response_sha256": response_sha256,
        "num_hits": len(hits),
        "best": f"{best.title or 'unnamed'} — {best.artist or 'unknown'}" if best else "",
        "score": best.score if best else 0.0,
        "reference": best.reference if best else "",
    }


def _objection(row: AuditRow, screening: Screening) -> Objection | None:
    """A hit; or a work that a provider was to be asked about and could not: a person has to look at it."""
    if row.num_hits:
        return Objection(
            recording_id=row.recording_id,
            stage=STAGE,
            verdict="deny" if screening.on_hit == "drop" else "review",
            rule="screening_hit",
            detail=f"{row.provider}: {row.best}, score {row.score:.3f} ({row.reference})",
        )
    if row.status == "impossible" and screening.provider != "dry-run":
        return Objection(
            recording_id=row.recording_id,
            stage=STAGE,
            verdict="review",
            rule="screening_impossible",
            detail=f"{row.provider}: {row.note}",
        )
    return None
