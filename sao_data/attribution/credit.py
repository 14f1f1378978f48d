"""One sentence that credits one work: title, author, source, licence, changes (Creative Commons: "TASL").

What a source does not state is said, not skipped: "an unnamed author", "version not stated".
"""

from __future__ import annotations

from dataclasses import dataclass

from sao_data.attribution.plain import one_line, safe_url
from sao_data.licences import license_name
from sao_data.records import CatalogueRow, Decision, Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditedWork:
    """What a credit is made of; '' = not stated."""

    title: str
    author: str
    author_url: str
    page_url: str
    license: str  # SPDX id or LicenseRef
    family: str
    version: str
    license_url: str
    license_claim: str  # the source's own words or URL
    copyright_notice: str
    requested_credit: str
    changes: tuple[str, ...]


def work_from_row(row: CatalogueRow) -> CreditedWork:
    """The credit facts of a catalogue row."""
    return CreditedWork(
        title=row.title,
        author=row.author,
        author_url=row.author_url,
        page_url=row.page_url,
        license=row.license,
        family=row.license_family,
        version=row.license_version,
        license_url=row.license_url,
        license_claim=row.license_claim,
        copyright_notice=row.copyright_notice,
        requested_credit=row.requested_credit,
        changes=row.changes,
    )


def work_from_decision(recording: Recording, decision: Decision, changes: tuple[str, ...]) -> CreditedWork:
    """The credit facts as they are known when a clip of the recording is packed."""
    return CreditedWork(
        title=recording.title,
        author=recording.author,
        author_url=recording.author_url,
        page_url=recording.page_url,
        license=decision.license,
        family=decision.family,
        version=decision.version,
        license_url=decision.license_url,
        license_claim=decision.evidence.claim or recording.license_url or recording.license_claim,
        copyright_notice=recording.copyright_notice,
        requested_credit=recording.requested_credit,
        changes=changes,
    )


def credit(work: CreditedWork | CatalogueRow) -> str:
    """Credit one work: `"TITLE" by AUTHOR (URL), SOURCE, licensed under CC BY 3.0 (URL). Changes: …`."""
    if isinstance(work, CatalogueRow):
        work = work_from_row(work)
    title, author = one_line(work.title), one_line(work.author)
    wish, notice = one_line(work.requested_credit), one_line(work.copyright_notice)
    who = f"{author or 'an unnamed author'}{_author_page(work)}"
    parts = [f"{_title(title)} by {who}, {_source(work)}, {_terms(work)}."]
    if notice:
        parts.append(f"Copyright notice: {_stop(notice)}")
    if wish and wish != author:
        parts.append(f"Credit requested by the author: {_stop(wish)}")
    parts.append(f"Changes: {changes_text(work.changes) or 'none recorded.'}")
    return " ".join(parts)


def changes_text(changes: tuple[str, ...]) -> str:
    """The changes as sentences in one line; '' if there are none."""
    return " ".join(_stop(one_line(change)) for change in changes if one_line(change))


_VERBS = {"CC0": "dedicated to the public domain under", "PDM": "marked as public domain with the"}


def _title(title: str) -> str:
    return f'"{title}"' if title else "Untitled work"


def _author_page(work: CreditedWork) -> str:
    page = safe_url(work.author_url)
    return f" ({page})" if page else ""


def _source(work: CreditedWork) -> str:
    if page := safe_url(work.page_url):
        return page
    return "source address not usable" if work.page_url else "source address not stated"


def _terms(work: CreditedWork) -> str:
    """The licence with its URL, or with the source's own words where there is no exact licence."""
    name = license_name(work.license)
    url, claim = safe_url(work.license_url), one_line(work.license_claim)
    if work.license in ("", "UNKNOWN"):
        return (
            f'with no licence that could be told (the source says: "{claim}")'
            if claim
            else "with no licence stated"
        )
    verb = _VERBS.get(work.family, "licensed under")
    if not work.version and claim:
        return f'{verb} {name.removesuffix(")")}, which says: "{claim}")'
    return f"{verb} {name} ({url})" if url else f"{verb} {name}"


def _stop(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."
