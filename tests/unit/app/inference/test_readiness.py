"""Whether the server takes videos."""

import pytest

from app.errors import Draining, NotReady
from app.inference.readiness import Readiness


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
