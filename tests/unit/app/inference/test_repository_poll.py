"""When a version that is no longer on the disk is let go; ``tests/integration`` has the rest, with a server that loads."""

import shutil
from pathlib import Path
from typing import Any, cast

from app.inference.batcher import BatchPolicy
from app.inference.execution_plan import PlanRequest
from app.inference.model_loading import ModelLoader
from app.inference.readiness import Readiness
from app.inference.repository_poll import RepositoryPoll
from app.inference.served import ServedModels
from app.inference.startup import ModelStart
from tests.colour_model import publish
from tests.unit.app.inference.echo_model import run
from tests.unit.app.inference.loaded_model import load


def followed(repository: Path) -> tuple[RepositoryPoll, ServedModels]:
    """Serves what ``load`` makes of ``colours/1`` and ``walk/1``. Nothing is loaded in these tests, so nothing decodes."""
    served, readiness = ServedModels(None), Readiness()
    for name in ("colours", "walk"):
        served.add(load(repository, name))
    readiness.become("ready")
    start = ModelStart(repository, False, None, "cpu", PlanRequest(1), BatchPolicy(), response_cache_entries=0)
    loader = ModelLoader(start, served, cast(Any, None), readiness, drain_seconds=0.0)
    return RepositoryPoll(loader, start, seconds=1.0), served


def test_a_version_is_let_go_once_it_was_missed_twice_in_a_row(tmp_path: Path) -> None:
    async def test() -> None:
        poll, served = followed(tmp_path)
        for _ in range(2):
            shutil.rmtree(tmp_path / "walk" / "1")
            await poll.look()
            publish(tmp_path, "walk")
            await poll.look()
            assert served.version_numbers("walk") == {1}
        shutil.rmtree(tmp_path / "walk")
        for _ in range(2):
            await poll.look()
        assert served.version_numbers("walk") == set()
        assert served.version_numbers("colours") == {1}
        await served.close()

    run(test)


def test_nothing_is_let_go_while_there_is_nothing_at_all(tmp_path: Path) -> None:
    async def test() -> None:
        poll, served = followed(tmp_path)
        for name in ("colours", "walk"):
            shutil.rmtree(tmp_path / name)
        for _ in range(3):
            await poll.look()
        shutil.rmtree(tmp_path)
        for _ in range(3):
            await poll.look()
        assert len(list(served)) == 2
        await served.close()

    run(test)
