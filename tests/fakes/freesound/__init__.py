"""A fake Freesound: the API, the OAuth2 pages and the CDN host, with everything that can go wrong there.

    world = World.from_folder(folder)  # or World.synthetic(500_000), or World() and world.add(…)
    with FakeFreesound(world, clock=clock, sleep=clock.sleep) as fake:
        client = Client(base=fake.base, key=fake.client.key)
        fake.faults.add("truncated", "download", share=0.3)
        fake.timeline.before("search", 3, lambda world: world.churn(adds=5, removes=5))
        …
        assert not fake.record.leaks

What is right and what is deliberately wrong in it follows ../shared/reference/sources_and_licences.md §1.
Where that is silent it guesses: the order of similar sounds, word stems, what becomes of a deleted account's
page, what the CDN says of an expired link. It does not write, rate, upload, or speak XML. Written from that
description; no code of the real server is in it.
"""

from tests.fakes.freesound.clock import SimulatedClock
from tests.fakes.freesound.fake import FakeFreesound
from tests.fakes.freesound.quirks import Quirks
from tests.fakes.freesound.reply import Reply, as_json, make
from tests.fakes.freesound.things import Pack, Sound
from tests.fakes.freesound.waves import Wave
from tests.fakes.freesound.world import World

__all__ = [
    "FakeFreesound", "Pack", "Quirks", "Reply", "SimulatedClock", "Sound", "Wave", "World", "as_json", "make",
]  # fmt: skip
