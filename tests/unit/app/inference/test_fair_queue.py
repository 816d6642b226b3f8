"""Whoever sends many is served by turns with whoever sends one; nothing is lost, and each flow keeps its order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.inference.fair_queue import FairQueue

Arrivals = st.lists(st.sampled_from("abc"), max_size=30)


def filled(flows: list[str]) -> FairQueue[tuple[str, int]]:
    queue: FairQueue[tuple[str, int]] = FairQueue()
    for number, flow in enumerate(flows):
        queue.append((flow, number), flow)
    return queue


def test_flows_take_turns() -> None:
    queue = filled(["a", "a", "a", "a", "b", "c", "c"])
    assert [queue.popleft()[0] for _ in range(7)] == ["a", "b", "c", "a", "c", "a", "a"]


def test_an_empty_queue_says_so() -> None:
    with pytest.raises(IndexError):
        filled([]).popleft()


@given(Arrivals)
def test_everything_comes_out_once_and_each_flow_in_its_order(flows: list[str]) -> None:
    queue = filled(flows)
    taken = [queue.popleft() for _ in range(len(queue))]
    assert sorted(taken) == sorted((flow, number) for number, flow in enumerate(flows))
    for flow in set(flows):
        numbers = [number for name, number in taken if name == flow]
        assert numbers == sorted(numbers)


@given(Arrivals.filter(bool), st.data())
def test_what_leaves_is_gone_and_the_rest_stays(flows: list[str], data: st.DataObject) -> None:
    queue = filled(flows)
    number = data.draw(st.integers(0, len(flows) - 1))
    assert queue.discard((flows[number], number), flows[number])
    assert not queue.discard((flows[number], number), flows[number])
    assert {n for _, n in (queue.popleft() for _ in range(len(queue)))} == set(range(len(flows))) - {number}


@given(Arrivals)
def test_nobody_waits_for_more_than_one_item_of_each_other_flow(flows: list[str]) -> None:
    queue = filled(flows)
    queue.append(("new", -1), "new")
    before = []
    while (item := queue.popleft())[0] != "new":
        before.append(item[0])
    assert all(before.count(flow) == 1 for flow in set(before))


def test_clearing_gives_what_was_in_it() -> None:
    queue = filled(["a", "b", "a"])
    assert sorted(queue.clear()) == [("a", 0), ("a", 2), ("b", 1)]
    assert not len(queue)
