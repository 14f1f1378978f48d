"""The policy: every preference against every release, every rule by its name, and the order of denials."""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import Any

import pytest

from sao_data import config
from sao_data.errors import UsageError
from sao_data.licences import Policy, Release, decide, judge, meets, normalise_preference, parse
from sao_data.licences.contradiction import contradiction
from sao_data.licences.policy import unused_author_blocks
from sao_data.records import Recording
from tests.paths import SHARED

CC = "https://creativecommons.org/"
BY, CC0 = f"{CC}licenses/by/3.0/", f"{CC}publicdomain/zero/1.0/"
SAMPLING_PLUS = f"{CC}licenses/sampling+/1.0/"

# Release flags: O open source, F freely available, U commercial use, T commercial training ("-" = not).
# Columns: no-additional-preferences, open-source-models, noncommercial-open-source-models, no-gen-ai, unknown
# with unknown_preference keep, and with drop.   + allow   . deny
PREFERENCES = """
OFUT  + + . . + .
OFU-  + + . . + .
OF-T  + + . . + .
OF--  + + + . + .
O-UT  + . . . + .
O-U-  + . . . + .
O--T  + . . . + .
O---  + . . . + .
-FUT  + . . . + .
-FU-  + . . . + .
-F-T  + . . . + .
-F--  + . . . + .
--UT  + . . . + .
--U-  + . . . + .
---T  + . . . + .
----  + . . . + .
"""
COLUMNS = (
    ("no-additional-preferences", "keep"),
    ("open-source-models", "keep"),
    ("noncommercial-open-source-models", "keep"),
    ("no-gen-ai", "keep"),
    ("", "keep"),
    ("", "drop"),
)
ALIASES = {
    "no-additional-restrictions": "no-additional-preferences",
    "freesound-cc-recommendation": "no-additional-preferences",
    "open-models": "open-source-models",
    "open-noncommercial-models": "noncommercial-open-source-models",
    "No-Gen-AI": "no-gen-ai",
    " no_gen_ai ": "no-gen-ai",
    "unknown": "",
    "nan": "",
}
CONTRADICTIONS = (
    "(c) 2019 ALL RIGHTS RESERVED.",
    "Non commercial use only",
    "for non-commercial purposes only, thanks",
    "Only for non-commercial use.",
    "Not for commercial use!",
    "NO COMMERCIAL USE",
    "You may not use this in commercial projects",
    "please don't use it commercially",
    "Commercial use is not allowed without asking",
    "commercial use requires a licence",
    "For personal use only.",
    "Only for educational purposes",
    "Do not redistribute",
    "Please do not remix.",
    "Licence: CC-BY-NC 3.0",
    "under Attribution-NonCommercial",
    '<a href="http://creativecommons.org/licenses/by-nc/3.0/">licence</a>',
    "do not use to train AI models",
    "No AI training",
    "non\u00a0commercial use only",
    "No AI",
    "CC0, but no A.I. please",
    "#NoAI",
    "no-ai",
    "No generative AI!",
    "no gen-AI use",
    "Say no to AI.",
    "No machine learning.",
    "no text and data mining",
    "do not train AI on this",
    "Don\u2019t train your models on my sounds",
    "This may not be used to train artificial intelligence",
    "must not be used in any AI model",
    "You must not fine-tune any model with it",
    "please do not feed this to an AI",
    "not for AI training",
    "Not for use in AI.",
    "not allowed for training of AI",
    "Not to be used by machine learning",
    "Do not use for AI",
    "I do not consent to AI training",
    "AI training is strictly prohibited",
    "Use for training is not allowed",
    "AI may not be trained on this",
    "I have opted out of generative AI",
    "no permission for AI",
    "licensed under BY-NC-SA 3.0",
    "by-nd",
    "under the by nc licence",
    "Creative Commons NonCommercial",
    "CC-NC",
)
INNOCENT = (
    "",
    "Rain on a tin roof. Sample from a commercial record.",
    "Free for commercial and non-commercial use.",
    "Use it in commercial or non-commercial projects, only credit me.",
    "Only for commercial or non-commercial films, no, for anything",
    "No rights reserved.",
    "Some rights reserved",
    "TV commercial break, no voice",
    "A train arrives; do not use headphones",
    "do not use the stairs. A model train passes",
    "Recorded by NC State students in Raleigh",
    "Don't sample this fish! Market in Oslo",
    "personal use of a shaver, the only one I have",
    "Attribution: CC BY by me",
    "You may use it in commercial projects",
    "I am not a professional, commercial airliner overhead",
    "no aid, no help",
    "No aim, no air, no aisle",
    "AI generated",
    "GenAI: made with an AI model trained on birds",
    "No AI was used in this recording.",
    "no AI used, no A.I. was involved",
    "No AI-generated sounds here",
    "no AI tools were used",
    "I don't use AI for my sounds",
    "This was not made with AI",
    "This is not AI",
    "Trained on nothing; a train and a model railway",
    "Do not feed the ducks",
    "military training ground, entry forbidden",
    "mono ai",
    "recorded by SA Records, released by ND",
    "Recorded by NC State",
    "by-narrow boat",
    "Free with attribution, commercial or non-commercial",
)


def recording(**fields: Any) -> Recording:
    return Recording(**{"id": "freesound:1", "source": "freesound", "license_url": BY, **fields})


def outcome(policy: Policy | None = None, release: Release | None = None, **fields: Any) -> tuple[str, str]:
    decision = decide(recording(**fields), policy or Policy(), release or Release())
    return decision.verdict, decision.rule


def release_of(flags: str) -> Release:
    wanted = dict(
        zip(("open_source", "freely_available", "commercial_use", "commercial_training"), flags, strict=True)
    )
    return Release(**{name: flag != "-" for name, flag in wanted.items()})


@pytest.mark.parametrize("line", PREFERENCES.strip().splitlines())
def test_preference_against_release(line: str) -> None:
    flags, *cells = line.split()
    for cell, (preference, unknown) in zip(cells, COLUMNS, strict=True):
        policy = Policy(unknown_preference="keep" if unknown == "keep" else "drop")
        verdict, _ = outcome(policy, release_of(flags), ai_preference=preference)
        assert verdict == {"+": "allow", ".": "deny"}[cell], (flags, preference, unknown)


def test_preference_table_holds_every_release_once() -> None:
    flags = [line.split()[0] for line in PREFERENCES.strip().splitlines()]
    assert sorted(flags) == sorted("".join(f) for f in itertools.product("O-", "F-", "U-", "T-"))


def test_preference_rules_have_names() -> None:
    closed = Release(open_source=False)
    assert outcome(ai_preference="no-gen-ai") == ("deny", "ai_preference_forbids")
    assert outcome(release=closed, ai_preference="open-models") == ("deny", "ai_preference_not_met")
    assert outcome(Policy(unknown_preference="drop")) == ("deny", "ai_preference_unknown")
    assert outcome(ai_preference="no-robots-please") == ("review", "ai_preference_not_understood")


@pytest.mark.parametrize(("alias", "value"), ALIASES.items())
def test_preference_aliases_are_normalised(alias: str, value: str) -> None:
    assert normalise_preference(alias) == value
    assert decide(recording(ai_preference=alias), Policy(), Release()).ai_preference == value


def test_every_preference_is_met_by_the_default_release_but_no_gen_ai() -> None:
    values = [name for name, _ in COLUMNS[:4]]
    assert [meets(value, Release()) for value in values] == [True, True, True, False]


def test_default_policy_and_release() -> None:
    assert Policy().families == ("CC0", "BY", "SAMPLING+")
    assert Release() == Release(
        open_source=True, freely_available=True, commercial_use=False, commercial_training=False
    )


def test_decision_carries_the_licence_and_its_evidence() -> None:
    words = {"license_claim": "Attribution", "evidence": "ab" * 32, "retrieved_at": "2026-07-30T00:00:00Z"}
    decision = decide(recording(**words, ai_preference="open-models"), Policy(), Release())
    assert (decision.verdict, decision.rule, decision.license, decision.family) == (
        "allow",
        "allowed",
        "CC-BY-3.0",
        "BY",
    )
    assert (decision.version, decision.license_url) == ("3.0", BY)
    assert decision.evidence.claim == f"{BY} | Attribution"
    assert decision.evidence.field == "license_url, license_claim"
    assert decision.evidence.response_sha256 == "ab" * 32
    assert decision.evidence.retrieved_at == "2026-07-30T00:00:00Z"


def test_a_version_that_is_not_stated_is_said_and_never_made_up() -> None:
    decision = decide(recording(license_url="", license_claim="Attribution"), Policy(), Release())
    assert (decision.verdict, decision.license, decision.version, decision.license_url) == (
        "allow",
        "CC-BY",
        "",
        "",
    )
    assert "not stated" in decision.detail
    assert decision.evidence.field == "license_claim"


@pytest.mark.parametrize(
    ("url", "claim", "verdict", "rule"),
    [
        ("", "", "deny", "no_license"),
        ("nan", "null", "deny", "no_license"),
        ("", "Creative Commons", "deny", "unknown_license"),
        ("", "something else", "deny", "unknown_license"),
        ("", "All rights reserved", "deny", "license_not_allowed"),
        ("", "GPL", "deny", "license_not_allowed"),
        (f"{CC}licenses/by-nc/4.0/", "", "deny", "license_not_allowed"),
        (f"{CC}licenses/ by-nc/4.0/", "", "deny", "license_not_allowed"),
        (f"{CC}licenses/sampling/1.0/", "", "deny", "license_not_allowed"),
        (f"{CC}licenses/devnations/2.0/", "", "deny", "license_not_allowed"),
        (f"{CC}licenses/ by/3.0/", "", "review", "license_needs_review"),
        (f"{CC}publicdomain/mark/1.0/", "", "review", "license_needs_review"),
        ("", "CC BY or CC0", "review", "license_needs_review"),
        (BY, "CC BY-NC 3.0", "review", "license_conflict"),
    ],
)
def test_licence_rules_have_names(url: str, claim: str, verdict: str, rule: str) -> None:
    assert outcome(license_url=url, license_claim=claim) == (verdict, rule)


def test_a_narrow_policy_allows_only_what_it_names() -> None:
    assert outcome(Policy(families=("CC0",))) == ("deny", "license_not_allowed")
    assert outcome(Policy(families=("CC0",)), license_url=CC0) == ("allow", "allowed")


def test_a_wide_policy_may_name_the_mark_and_noncommercial_licences() -> None:
    mark, nc = f"{CC}publicdomain/mark/1.0/", f"{CC}licenses/by-nc/4.0/"
    policy = Policy(families=("PDM", "BY-NC"))
    assert outcome(policy, license_url=mark) == ("allow", "allowed")
    assert outcome(policy, license_url=nc) == ("allow", "allowed")
    assert outcome(policy, Release(commercial_use=True), license_url=nc) == (
        "review",
        "license_noncommercial",
    )


@pytest.mark.parametrize(
    ("knob", "commercial", "verdict"),
    [
        ("accept", False, "allow"),
        ("accept", True, "review"),
        ("review", False, "review"),
        ("review", True, "review"),
        ("accept-commercial-risk", False, "allow"),
        ("accept-commercial-risk", True, "allow"),
    ],
)
@pytest.mark.parametrize("flag", ["commercial_use", "commercial_training"])
def test_sampling_plus(knob: Any, commercial: bool, verdict: str, flag: str) -> None:
    release = dataclasses.replace(Release(), **{flag: commercial})
    assert outcome(Policy(sampling_plus=knob), release, license_url=SAMPLING_PLUS)[0] == verdict


def test_blocked_ids_and_authors_are_denied_whatever_their_licence() -> None:
    assert outcome(Policy(block_ids=("freesound:1",)), license_url=CC0) == ("deny", "blocked_id")
    for author in ("77", "freesound:77"):
        assert outcome(Policy(block_author_ids=(author,)), author_id="77") == ("deny", "blocked_author")
    assert outcome(Policy(block_author_ids=("fma:77",)), author_id="77") == ("allow", "allowed")
    assert outcome(Policy(block_author_ids=("",)), author_id="") == ("allow", "allowed")


def test_explicit_recordings_are_kept_unless_the_policy_drops_them() -> None:
    assert outcome(is_explicit=True) == ("allow", "allowed")
    assert outcome(Policy(explicit="drop"), is_explicit=True) == ("deny", "explicit")
    assert outcome(Policy(explicit="drop"), is_explicit=False) == ("allow", "allowed")


def test_denial_comes_before_review() -> None:
    assert outcome(license_url=f"{CC}licenses/ by/3.0/", ai_preference="no-gen-ai")[0] == "deny"
    assert outcome(license_url="", description="all rights reserved") == ("deny", "no_license")


@pytest.mark.parametrize("description", CONTRADICTIONS)
def test_description_that_takes_the_grant_back_goes_to_a_person(description: str) -> None:
    assert outcome(license_url=CC0, description=description) == ("review", "description_contradicts")
    assert outcome(Policy(contradiction="keep"), license_url=CC0, description=description) == (
        "allow",
        "allowed",
    )


@pytest.mark.parametrize("description", INNOCENT)
def test_innocent_descriptions_are_left_alone(description: str) -> None:
    assert contradiction(description) == ""


def test_a_policy_that_allows_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match=r"families is empty.*there are CC0, BY, "):
        Policy(families=())


@pytest.mark.parametrize("family", ["CC-BY", "UNKNOWN", "OTHER", "by", ""])
def test_a_family_that_does_not_exist_is_refused_with_what_is_allowed(family: str) -> None:
    with pytest.raises(UsageError, match=rf"no licence family '{family}'; there are CC0, BY, .*SAMPLING\+"):
        Policy(families=("CC0", family))


def test_policy_and_release_are_read_from_toml_tables() -> None:
    policy = config.parse(Policy, {"families": ["CC0"], "explicit": "drop"}, where="policy")
    assert policy == Policy(families=("CC0",), explicit="drop")
    with pytest.raises(UsageError, match="families is empty"):
        config.parse(Policy, {"families": []}, where="policy")
    with pytest.raises(UsageError, match="sampling_plus"):
        config.parse(Policy, {"sampling_plus": "maybe"}, where="policy")
    with pytest.raises(UsageError, match="did you mean 'commercial_use'"):
        config.parse(Release, {"comercial_use": True}, where="release")


def test_judge_says_in_words_why() -> None:
    finding = judge(parse("CC BY-NC 3.0"), Policy(), Release())
    assert finding.detail == "CC BY-NC 3.0 is not among the families the policy accepts (CC0, BY, SAMPLING+)"


@pytest.mark.skipif(not SHARED.exists(), reason="../shared/data is absent")
def test_real_freesound_recordings_are_decided_without_false_alarms() -> None:
    verdicts: dict[str, int] = {}
    for line in (SHARED / "freesound" / "sounds.jsonl").read_text(encoding="utf-8").splitlines():
        sound = json.loads(line)
        verdict, _ = outcome(license_url=sound["license"], description=sound["description"] or "")
        verdicts[verdict] = verdicts.get(verdict, 0) + 1
    assert verdicts == {"allow": 189, "deny": 1}


@pytest.mark.skipif(not SHARED.exists(), reason="../shared/data is absent")
def test_hostile_licence_fields() -> None:
    wanted = {
        "lic_encoded_plus": ("allow", "allowed"),
        "lic_in_text": ("review", "description_contradicts"),
        "lic_open_only": ("allow", "allowed"),
        "lic_sampling": ("deny", "license_not_allowed"),
    }
    seen = 0
    for line in (SHARED / "hostile_metadata.jsonl").read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        if case["case"].startswith("lic_"):
            sound = case["object"]
            preference = sound["gen_ai_preference"]
            got = outcome(
                license_url=sound["license"], description=sound["description"], ai_preference=preference
            )
            assert got == wanted.get(case["case"], ("deny", "unknown_license")), case["case"]
            seen += 1
    assert seen >= 8


def test_blocked_authors_that_nobody_answers_to_are_told() -> None:
    policy = Policy(block_author_ids=("77", "freesound:78", "fma:77", "freesound: 77", "ana"))
    authors = [("freesound", "77"), ("freesound", "78"), ("folder", "")]
    assert unused_author_blocks(policy, authors) == ("fma:77", "freesound: 77", "ana")
    assert unused_author_blocks(Policy(), []) == ()
