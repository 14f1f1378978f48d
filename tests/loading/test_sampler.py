"""The order: every sample once an epoch, the same for any split over ranks, and after any resume."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sao_data.loading.sampler import Order, generator

ORDERS = st.builds(
    Order,
    shard_sizes=st.lists(st.integers(1, 9), min_size=1, max_size=7).map(tuple),
    seed=st.integers(0, 2**63),
    shards_per_group=st.integers(1, 8),
)


def samples(order: Order, start: int, num: int) -> list[int]:
    return [planned.sample for planned in itertools.islice(order.places(start), num)]


@given(ORDERS, st.integers(0, 5))
def test_an_epoch_is_a_permutation(order: Order, epoch: int) -> None:
    assert sorted(order.permutation(epoch)) == list(range(order.num_samples))
    drawn = samples(order, epoch * order.num_samples, order.num_samples)
    assert drawn == order.permutation(epoch).tolist()


@given(ORDERS, st.data())
def test_a_position_says_where_to_go_on(order: Order, data: st.DataObject) -> None:
    total = 3 * order.num_samples
    cut = data.draw(st.integers(0, total))
    assert samples(order, 0, cut) + samples(order, cut, total - cut) == samples(order, 0, total)


@given(ORDERS, st.integers(1, 5), st.data())
def test_skipped_samples_leave_the_rest_in_order_and_batches_full(
    order: Order, batch_size: int, data: st.DataObject
) -> None:
    skip = frozenset(
        data.draw(st.sets(st.integers(0, order.num_samples - 1), max_size=order.num_samples - 1))
    )
    start = data.draw(st.integers(0, 2 * order.num_samples))
    batches = list(itertools.islice(order.batches(batch_size, start, skip), 4))
    assert [len(batch) for batch in batches] == [batch_size] * 4
    drawn = list(itertools.chain.from_iterable(batches))
    places = itertools.takewhile(lambda place: place.position <= drawn[-1].position, order.places(start))
    assert drawn == [place for place in places if place.sample not in skip]


@given(ORDERS, st.integers(0, 60), st.data())
def test_draws_are_what_was_drawn(order: Order, position: int, data: st.DataObject) -> None:
    index = st.integers(0, order.num_samples - 1)
    since = data.draw(st.dictionaries(index, st.integers(0, 60), max_size=3))
    counted = np.zeros(order.num_samples, int)
    for place in itertools.islice(order.places(0), position):
        if place.position < since.get(place.sample, position):
            counted[place.sample] += 1
    assert order.draws(position, since).tolist() == counted.tolist()


def test_a_group_of_shards_is_finished_before_the_next_begins() -> None:
    order = Order(shard_sizes=(10,) * 12, seed=1, shards_per_group=3)
    shards = order.permutation(0) // 10
    groups = [set(shards[at : at + 30].tolist()) for at in range(0, 120, 30)]
    assert [len(group) for group in groups] == [3] * 4
    assert set.union(*groups) == set(range(12))


def test_seed_and_epoch_change_the_order_and_nothing_else_does() -> None:
    order = Order(shard_sizes=(20, 20), seed=1, shards_per_group=2)
    again = Order(shard_sizes=(20, 20), seed=1, shards_per_group=2)
    other = Order(shard_sizes=(20, 20), seed=2, shards_per_group=2)
    assert order.permutation(0).tolist() == again.permutation(0).tolist()
    assert order.permutation(0).tolist() != order.permutation(1).tolist()
    assert order.permutation(0).tolist() != other.permutation(0).tolist()


def test_every_place_of_an_epoch_is_as_likely_for_a_sample() -> None:
    order = Order(shard_sizes=(5, 5), seed=3, shards_per_group=2)
    counts = np.zeros((10, 10))
    for epoch in range(2_000):
        counts[np.arange(10), order.permutation(epoch)] += 1
    assert np.abs(counts / 200 - 1).max() < 0.3  # expected 200 each, standard deviation 13


def test_the_order_does_not_change_between_releases() -> None:
    """A checkpoint's position counts in it: if this fails, resumed runs would see other data."""
    order = Order(shard_sizes=(3, 2, 4), seed=42, shards_per_group=2)
    assert [order.permutation(epoch).tolist() for epoch in range(2)] == GOLDEN
    assert generator("sample", 42, 0, "freesound-000012345").bit_generator.random_raw() == RAW


GOLDEN = [[5, 7, 4, 3, 8, 6, 2, 1, 0], [3, 0, 2, 4, 1, 8, 5, 7, 6]]
RAW = 12686812703442193
