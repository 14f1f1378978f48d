"""What a source over a network must have, and what is said of one that lacks it."""

from __future__ import annotations

import pytest

from sao_data.errors import UsageError
from sao_data.fetch.remote import attachable
from tests.made_plugins.far_away import Config, FarAway

SOURCE = FarAway(config=Config(path="world.json"))


def test_a_remote_source_is_attachable() -> None:
    assert attachable(SOURCE) is SOURCE


@pytest.mark.parametrize("name", ["check_terms", "services", "attached", "fetch", "is_stale", "look_up"])
def test_a_remote_source_that_lacks_something_is_refused_and_not_taken_for_a_local_one(name: str) -> None:
    lame = type("Lame", (FarAway,), {name: None})(config=SOURCE.config)
    with pytest.raises(UsageError, match=rf"lacks {name};"):
        attachable(lame)


def test_a_source_with_a_forecast_has_to_be_attachable_to_list_only() -> None:
    plan = type("Plan", (FarAway,), {"plan": lambda self: None})(config=SOURCE.config)
    with pytest.raises(UsageError, match=r"has plan\(\), and its attached\(\) takes no only_listing;"):
        attachable(plan)
