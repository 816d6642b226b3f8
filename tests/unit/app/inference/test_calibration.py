"""How the machine is used is measured, and what was asked for is not."""

import numpy as np
import pytest
from numpy.typing import NDArray

from app.inference.calibration import Trial, calibrate, choose
from app.inference.execution_plan import PlanRequest
from app.inference.session import ProviderUnavailable, Session, SessionOptions
from app.inference.speed import Speed
from tests.colour_model import LABELS, SPEC, colour_graph


def open_session(threads: int, max_batch_size: int) -> Session:
    graph = colour_graph().SerializeToString()
    return Session(graph, SPEC.shape, len(LABELS), "cpu", SessionOptions(threads, max_batch_size))


def trial(lanes: int, threads: int, rates: dict[int, float], batch_size: int = 1) -> Trial:
    return Trial(lanes, threads, [], {size: Speed(rate, 0.1, lanes * threads) for size, rate in rates.items()}, batch_size)


@pytest.mark.parametrize(
    ("processors", "expected"),
    [(1, [(1, 1)]), (2, [(1, 2), (2, 1)]), (6, [(1, 6), (2, 3), (4, 1), (6, 1)]), (8, [(1, 8), (2, 4), (4, 2), (8, 1)])],
)
def test_processors_are_divided_from_one_lane_to_one_each(processors: int, expected: list[tuple[int, int]]) -> None:
    assert PlanRequest(processors).divisions("cpu") == expected


def test_what_was_asked_for_is_not_tried_otherwise() -> None:
    assert PlanRequest(8, lanes=2).divisions("cpu") == [(2, 4)]
    assert PlanRequest(8, intra_op_threads=4).divisions("cpu") == [(2, 4)]
    assert PlanRequest(2, lanes=3, intra_op_threads=5).divisions("cpu") == [(3, 5)]
    assert PlanRequest(8, max_batch_size=6).batch_sizes("cpu") == [6]


def test_a_gpu_is_tried_with_larger_batches_and_fewer_lanes() -> None:
    assert PlanRequest(64).divisions("cuda") == [(1, 1), (2, 1)]
    assert PlanRequest(64).batch_sizes("cuda")[-1] > PlanRequest(64).batch_sizes("cpu")[-1]


def test_the_fastest_division_is_taken() -> None:
    wide, narrow = trial(1, 2, {1: 20.0}), trial(2, 1, {1: 27.0})
    assert choose([wide, narrow])[0] is narrow


def test_of_two_that_are_as_good_processors_get_more_lanes_and_a_gpu_fewer() -> None:
    one, two = trial(1, 2, {1: 27.5}), trial(2, 1, {1: 27.0})
    assert choose([one, two])[0] is two
    assert choose([one, two], on_processors=False) == (one, one)


def test_lanes_of_a_gpu_must_be_worth_their_memory() -> None:
    one, two = trial(1, 1, {32: 1000.0}, 32), trial(2, 1, {32: 1100.0}, 32)
    assert choose([one, two], on_processors=False) == (two, two)


def test_a_clip_that_is_alone_gets_the_division_that_is_quickest_for_one() -> None:
    wide, narrow = trial(1, 2, {1: 22.0}), trial(2, 1, {1: 27.0})
    assert choose([wide, narrow]) == (narrow, wide)
    hardly = trial(1, 2, {1: 15.0})
    assert choose([hardly, narrow]) == (narrow, narrow)


def test_the_plan_names_what_runs() -> None:
    found = calibrate(open_session, SPEC.shape, "cpu", PlanRequest(processors=2, lanes=2, max_batch_size=3))
    assert (found.plan.lanes, found.plan.intra_op_threads, found.plan.max_batch_size, found.plan.lone_threads) == (2, 1, 3, 1)
    assert found.plan.clips_per_second > 0
    assert [session.options.intra_op_threads for session in found.sessions] == [1]
    assert found.lone is None


def test_batches_that_do_not_pay_for_more_threads_are_not_tried_with_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[tuple[int, int]] = []

    def measured(sessions: list[Session], lanes: int, batch: list[NDArray[np.uint8]]) -> Speed:
        tried.append((lanes, len(batch)))
        return Speed(10.0 + 5.0 * min(2, len(batch)), 0.1, 4.0)

    monkeypatch.setattr("app.inference.calibration.measure", measured)
    calibrate(open_session, SPEC.shape, "cpu", PlanRequest(processors=4))
    assert tried == [(1, 1), (1, 2), (1, 4), (2, 1), (2, 2), (4, 1), (4, 2)]


def test_every_session_of_a_measured_plan_gives_the_same_answers() -> None:
    found = calibrate(open_session, SPEC.shape, "cpu", PlanRequest(processors=2))
    clips = list(np.random.default_rng(1).integers(0, 256, (4, *SPEC.shape), np.uint8))
    expected = open_session(1, 4).run(clips)
    for session in [*found.sessions, *([found.lone] if found.lone else [])]:
        assert np.abs(session.run(clips) - expected).max() <= 1e-5


def test_a_larger_batch_must_be_faster_and_take_no_more_of_the_processors() -> None:
    small = Speed(clips_per_second=20.0, processor_seconds=0.1, processors_used=2.0)
    assert Speed(22.0, 0.1, 2.0).is_worth_more_than(small, on_processors=True)
    assert not Speed(20.5, 0.1, 2.0).is_worth_more_than(small, on_processors=True)
    assert not Speed(30.0, 0.12, 2.0).is_worth_more_than(small, on_processors=True), "somebody disturbed the smaller one"
    assert Speed(30.0, 0.12, 2.0).is_worth_more_than(small, on_processors=False)


def test_a_trial_that_had_to_share_the_processors_is_not_certain() -> None:
    alone = Trial(2, 1, [], {1: Speed(20.0, 0.1, 1.99)}, 1)
    disturbed = Trial(2, 1, [], {1: Speed(12.0, 0.1, 1.2)}, 1)
    assert alone.was_undisturbed
    assert not disturbed.was_undisturbed


def test_a_larger_batch_that_had_fewer_processors_may_have_lost_by_that() -> None:
    one = Speed(10.0, 0.1, 1.9)
    assert Trial(1, 2, [], {1: one, 2: Speed(9.0, 0.1, 1.88)}, 1).was_steady
    assert not Trial(1, 2, [], {1: one, 2: Speed(9.0, 0.1, 1.5)}, 1).was_steady


def test_a_second_lane_for_which_there_is_no_memory_is_done_without() -> None:
    opened: list[Session] = []

    def open_one(threads: int, max_batch_size: int) -> Session:
        if opened:
            raise ProviderUnavailable("the device is full")
        opened.append(open_session(threads, max_batch_size))
        return opened[0]

    found = calibrate(open_one, SPEC.shape, "cpu", PlanRequest(processors=2))
    assert (found.plan.lanes, found.sessions) == (1, opened)
    assert not found.is_certain
