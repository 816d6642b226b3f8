"""One gate in front of everything, with a bound for what arrives and one for what was received."""

from contextlib import ExitStack

import pytest

from app.errors import QueueFull
from app.inference.admission import Admission, AdmissionPolicy


def gate(*, max_queue_size: int = 2, max_uploads: int = 3) -> Admission:
    return Admission(AdmissionPolicy(max_queue_size, max_uploads))


def is_open(admission: Admission) -> bool:
    try:
        with admission.enter():
            return True
    except QueueFull:
        return False


def test_as_many_uploads_as_the_gate_holds_get_in_and_the_next_after_one_has_left() -> None:
    admission = gate()
    with admission.enter(), admission.enter():
        with admission.enter():
            assert not is_open(admission)
        assert is_open(admission)


def test_the_gate_is_closed_while_enough_videos_wait_for_their_answer() -> None:
    admission = gate()
    with admission.enter() as first:
        first.upload_ended()
        with admission.enter() as second:
            second.upload_ended()
            assert not is_open(admission)
        assert is_open(admission)


def test_uploads_that_are_slow_leave_the_places_of_the_received_alone() -> None:
    admission = gate(max_queue_size=1, max_uploads=3)
    with admission.enter(), admission.enter():
        for _ in range(10):
            with admission.enter() as quick:
                quick.upload_ended()


def test_who_was_let_in_is_never_refused_even_where_all_arrive_at_once() -> None:
    admission = gate(max_queue_size=1, max_uploads=3)
    with ExitStack() as inside:
        places = [inside.enter_context(admission.enter()) for _ in range(3)]
        for place in places:
            place.upload_ended()
        assert not is_open(admission)
    assert is_open(admission)


def test_no_more_than_the_sum_is_ever_inside() -> None:
    policy = AdmissionPolicy(max_queue_size=2, max_uploads=3)
    admission = Admission(policy)
    with ExitStack() as inside:
        received = [inside.enter_context(admission.enter()) for _ in range(2)]
        received[0].upload_ended()
        arriving = [inside.enter_context(admission.enter()) for _ in range(2)]
        received[1].upload_ended()
        for place in arriving:
            place.upload_ended()
        assert len(received) + len(arriving) <= policy.max_videos
        assert not is_open(admission)


def fail(admission: Admission, *, arrived: bool) -> None:
    with admission.enter() as place:
        if arrived:
            place.upload_ended()
        raise RuntimeError


@pytest.mark.parametrize("arrived", [False, True])
def test_a_video_that_fails_leaves_its_place(arrived: bool) -> None:
    admission = gate(max_queue_size=1, max_uploads=1)
    with pytest.raises(RuntimeError):
        fail(admission, arrived=arrived)
    assert is_open(admission)
