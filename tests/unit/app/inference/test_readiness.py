"""Whether the server takes videos."""

import pytest

from app.errors import Draining, NotReady
from app.inference.readiness import Readiness
from app.observability import metrics


def test_only_a_ready_server_takes_videos() -> None:
    readiness = Readiness()
    with pytest.raises(NotReady, match="models are loading"):
        readiness.check()
    readiness.become("ready")
    readiness.check()


def test_a_failed_check_is_the_reason_that_is_given() -> None:
    readiness = Readiness()
    readiness.become("unhealthy", "the golden clip is off by 0.2")
    with pytest.raises(NotReady, match="unhealthy: the golden clip is off"):
        readiness.check()


def test_a_draining_server_never_becomes_ready_again() -> None:
    readiness = Readiness()
    readiness.become("draining")
    readiness.become("ready")
    with pytest.raises(Draining):
        readiness.check()


def test_an_obstacle_keeps_a_ready_server_from_taking_videos_for_as_long_as_it_lasts() -> None:
    readiness = Readiness()
    readiness.become("ready")
    readiness.meet("no decode process is alive")
    with pytest.raises(NotReady, match="unhealthy: no decode process is alive"):
        readiness.check()
    assert (readiness.state, readiness.reasons) == ("unhealthy", ["no decode process is alive"])
    assert metrics.READY._value.get() == 0
    readiness.meet(None)
    readiness.check()
    assert (readiness.state, readiness.reasons) == ("ready", [])
    assert metrics.READY._value.get() == 1


def test_an_obstacle_hides_nothing_that_was_wrong_before() -> None:
    readiness = Readiness()
    readiness.become("unhealthy", "the golden clip is off by 0.2")
    readiness.meet("no decode process is alive")
    with pytest.raises(NotReady, match="golden clip"):
        readiness.check()
    readiness.meet(None)
    with pytest.raises(NotReady, match="golden clip"):
        readiness.check()


def test_behind_an_obstacle_models_come_and_go() -> None:
    """One that was being loaded, or unloaded, as it came; none is begun."""
    readiness = Readiness()
    readiness.become("ready")
    readiness.is_empty()
    readiness.check_open_to_models()
    readiness.meet("no decode process is alive")
    with pytest.raises(NotReady, match="no decode process"):
        readiness.check_open_to_models()
    readiness.is_served()
    assert readiness.state == "unhealthy"
    readiness.meet(None)
    assert readiness.state == "ready"


def test_a_draining_server_has_no_other_trouble() -> None:
    readiness = Readiness()
    readiness.become("ready")
    readiness.become("draining")
    readiness.meet("no decode process is alive")
    with pytest.raises(Draining):
        readiness.check()
