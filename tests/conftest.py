"""Fixtures that many tests share: a published model, and a server that serves it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.colour_model import publish
from tests.live_server import LiveServer, running_server

# how long an example takes says something about the machine alone
_PATIENT = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("patient", **_PATIENT)
settings.register_profile("nightly", max_examples=1000, stateful_step_count=50, **_PATIENT)  # --hypothesis-profile nightly
settings.load_profile("patient")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def _ordinary_scheduling() -> Iterator[None]:
    """Where an encoder makes this process a real-time one, so are all servers, and nothing that is timed means anything."""
    yield
    if hasattr(os, "sched_getscheduler"):
        assert os.sched_getscheduler(0) == os.SCHED_OTHER


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository that holds ``colours/1``. Read only."""
    folder = tmp_path_factory.mktemp("models")
    publish(folder)
    return folder


@pytest.fixture(scope="session")
def server(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One server for all tests that do not stop it."""
    with running_server(repository, tmp_path_factory.mktemp("server") / "log.jsonl") as live:
        yield live
        if live.process.poll() is not None:
            pytest.fail(f"the server died during the tests: {live.log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Videos and hostile files that are not part of the repository."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no {SHARED_DATA}: the files of others are tested only where they lie beside the checkout")
    return SHARED_DATA
