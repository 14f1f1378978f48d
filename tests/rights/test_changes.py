"""Then against now: each change is judged alone, by the policy, and the strictest rule wins."""

import dataclasses
import itertools

import pytest

from sao_data.licences import Policy, Release
from sao_data.licences.later import OnLaterRestriction
from sao_data.records import Recording
from sao_data.rights.changes import StatedChange, action_for, changes_between

POLICY, RELEASE = Policy(), Release()
BY3 = "http://creativecommons.org/licenses/by/3.0/"
BY4 = "https://creativecommons.org/licenses/by/4.0/"
NC = "https://creativecommons.org/licenses/by-nc/4.0/"
WAS = Recording(id="freesound:1", source="freesound", title="Rain", author="Ada", license_url=BY3)


def changes(before: Recording = WAS, policy: Policy = POLICY, release: Release = RELEASE, **now: object):
    after = dataclasses.replace(before, **now)
    return [(c.kind, c.before, c.after, c.restricts) for c in changes_between(before, after, policy, release)]


def test_the_same_words_are_no_change() -> None:
    assert changes() == []
    assert changes(description="longer", tags=("rain",), retrieved_at="2030-01-01") == []


def test_other_words_for_the_same_licence_are_no_change() -> None:
    assert changes(license_url="", license_claim="CC BY 3.0") == []


@pytest.mark.parametrize(
    ("url", "now", "restricts"),
    [(BY4, "CC-BY-4.0", False), (NC, "CC-BY-NC-4.0", True), ("", "UNKNOWN", True)],
)
def test_another_licence_restricts_where_the_policy_does_not_allow_it(
    url: str, now: str, restricts: bool
) -> None:
    assert changes(license_url=url) == [("relicensed", "CC-BY-3.0", now, restricts)]


def test_a_freer_licence_restricts_nothing() -> None:
    was = dataclasses.replace(WAS, license_url=NC)
    assert changes(was, license_url=BY4) == [("relicensed", "CC-BY-NC-4.0", "CC-BY-4.0", False)]


def test_doubtful_words_about_the_same_licence_are_a_change() -> None:
    ((kind, _, after, restricts),) = changes(
        license_claim="CC BY 3.0, as agreed on the phone", license_url=""
    )
    assert (kind, restricts) == ("relicensed", True)
    assert after


def test_what_was_let_in_by_a_person_can_be_restricted_too() -> None:
    was = dataclasses.replace(WAS, license_url="https://creativecommons.org/publicdomain/mark/1.0/")
    ((kind, *_, restricts),) = changes(was, license_url=NC)
    assert (kind, restricts) == ("relicensed", True)


@pytest.mark.parametrize(
    ("before", "after", "restricts"),
    [
        ("", "no-gen-ai", True),
        ("open-source-models", "no-gen-ai", True),
        ("no-additional-preferences", "some new wish", True),
        ("", "open-source-models", None),
        ("no-gen-ai", "no-gen-ai", None),
        ("no-gen-ai", "", None),
        ("ai_preference_not_understood", "another one", None),
    ],
)
def test_an_opt_out_is_a_wish_that_is_no_longer_met(before: str, after: str, restricts: bool | None) -> None:
    found = changes(dataclasses.replace(WAS, ai_preference=before), ai_preference=after)
    assert [(kind, r) for kind, *_, r in found] == ([] if restricts is None else [("opted_out", restricts)])


def test_a_wish_is_held_against_this_release() -> None:
    closed = Release(open_source=False)
    assert changes(ai_preference="open-source-models") == []
    ((kind, before, after, _),) = changes(release=closed, ai_preference="open-source-models")
    assert (kind, before, after) == ("opted_out", "unknown", "open-source-models")


def test_an_opt_out_of_what_was_not_allowed_restricts_nothing() -> None:
    found = changes(dataclasses.replace(WAS, license_url=NC), ai_preference="no-gen-ai")
    assert [(kind, r) for kind, *_, r in found] == [("opted_out", False)]


def test_a_wish_withdrawn_under_a_policy_that_needs_one_is_an_opt_out() -> None:
    was = dataclasses.replace(WAS, ai_preference="open-source-models")
    assert changes(was, Policy(unknown_preference="drop"), ai_preference="") == [
        ("opted_out", "open-source-models", "unknown", True)
    ]


def test_each_change_is_judged_alone() -> None:
    found = changes(license_url=BY4, ai_preference="no-gen-ai", author="Ada L.", title="Rain, again")
    assert found == [
        ("relicensed", "CC-BY-3.0", "CC-BY-4.0", False),
        ("opted_out", "unknown", "no-gen-ai", True),
        ("renamed", "author: Ada", "author: Ada L.", False),
        ("renamed", "title: Rain", "title: Rain, again", False),
    ]


def test_no_longer_offered_is_withdrawn_and_nothing_else() -> None:
    (change,) = changes_between(WAS, None, POLICY, RELEASE)
    assert (change.kind, change.before, change.restricts) == ("withdrawn", "offered under CC-BY-3.0", False)


def change(kind: str, *, restricts: bool = True) -> StatedChange:
    return StatedChange(id="x:1", kind=kind, before="", after="", restricts=restricts)  # type: ignore[arg-type]


def test_the_default_is_what_a_fresh_build_would_do() -> None:
    rules = OnLaterRestriction()
    for kind in ("withdrawn", "relicensed", "opted_out"):
        assert action_for([change(kind, restricts=kind != "withdrawn")], rules) == "drop"
    assert action_for([], rules) == "keep"


@pytest.mark.parametrize(("one", "other"), list(itertools.product(("keep", "ask", "drop"), repeat=2)))
def test_the_strictest_rule_wins(one: str, other: str) -> None:
    order = ["keep", "ask", "drop"]
    rules = OnLaterRestriction(relicensed=one, opted_out=other)  # type: ignore[arg-type]
    wanted = order[max(order.index(one), order.index(other))]
    assert action_for([change("relicensed"), change("opted_out")], rules) == wanted


def test_a_change_that_takes_nothing_away_is_no_reason_to_drop() -> None:
    rules = OnLaterRestriction(withdrawn="ask", relicensed="drop", opted_out="drop")
    harmless = [change(kind, restricts=False) for kind in ("relicensed", "opted_out", "renamed")]
    assert action_for(harmless, rules) == "keep"
    assert action_for([*harmless, change("renamed")], rules) == "keep"
    assert action_for([*harmless, change("withdrawn", restricts=False)], rules) == "ask"
