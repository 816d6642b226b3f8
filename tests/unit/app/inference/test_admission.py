"""One gate in front of decoding and queue."""

import pytest

from app.errors import QueueFull
from app.inference.admission import Admission


def test_as_many_as_the_gate_holds_get_in_and_the_next_after_one_has_left() -> None:
    gate = Admission(2)
    with gate.enter():
        with gate.enter(), pytest.raises(QueueFull):
            gate.check()
        with gate.enter():
            pass


def test_a_video_that_fails_leaves_its_place() -> None:
    gate = Admission(1)
    with pytest.raises(RuntimeError), gate.enter():
        raise RuntimeError
    gate.check()
