"""Many clips at once through queue, lanes and sessions: each gets its own answer, the same as if it were alone."""

import asyncio
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
from numpy.typing import NDArray

from app.inference.batcher import Batcher, BatchPolicy
from app.inference.engine import Engine, load_engine
from app.inference.execution_plan import PlanRequest
from app.inference.repository import published_models
from tests.colour_model import LABELS, SPEC, publish
from tests.unit.app.inference.echo_model import NOW_SECONDS, run

SHIPPED = Path(__file__).parents[4] / "models"
INT8_TOLERANCE, FP32_TOLERANCE = 1e-3, 1e-5


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    repository = tmp_path_factory.mktemp("models")
    publish(repository)
    engine = load_engine(published_models(repository)[0], "cpu", PlanRequest(2, lanes=2, max_batch_size=8))
    yield engine
    engine.close()


def distinct_clips(count: int) -> list[NDArray[np.uint8]]:
    """Clips of one colour each, no two alike, so that no two have the same probabilities."""
    colours = np.random.default_rng(7).permutation(2**16)[:count]
    return [np.broadcast_to(np.array([c // 256, c % 256, 128], np.uint8), SPEC.shape).copy() for c in colours]


def test_5000_distinct_clips_at_once_get_their_own_answers(engine: Engine) -> None:
    clips = distinct_clips(5000)
    expected = np.concatenate([engine.sessions[0].run([clip]) for clip in clips])
    assert len(np.unique(expected, axis=0)) == len(clips)

    async def test() -> None:
        policy = BatchPolicy(max_batch_size=8, max_queue_size=len(clips), lanes=engine.plan.lanes)
        queue = Batcher("colours/1", SPEC.shape, len(LABELS), engine.run, policy)
        asked = [queue.infer(clip, monotonic() + NOW_SECONDS, flow=number % 7) for number, clip in enumerate(clips)]
        answers = np.stack(await asyncio.gather(*asked))
        assert np.abs(answers - expected).max() <= FP32_TOLERANCE
        await queue.close()

    run(test)


def test_a_clip_of_the_shipped_model_is_answered_alike_alone_and_in_every_batch() -> None:
    model = published_models(SHIPPED)[0]
    engine = load_engine(model, "cpu", PlanRequest(2))
    clips = list(np.random.default_rng(1).integers(0, 256, (5, *model.manifest.clip_spec.shape), np.uint8))
    alone = np.concatenate([engine.sessions[0].run([clip]) for clip in clips])
    for session in engine.sessions:
        for size in range(1, len(clips) + 1):
            assert np.abs(session.run(clips[:size]) - alone[:size]).max() <= INT8_TOLERANCE
    engine.close()


def test_a_closed_engine_keeps_no_session(engine: Engine, tmp_path: Path) -> None:
    publish(tmp_path)
    short_lived = load_engine(published_models(tmp_path)[0], "cpu", PlanRequest(1))
    short_lived.close()
    assert not short_lived.sessions


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority of their own on Linux alone")
def test_runs_on_processors_yield_to_the_event_loop(tmp_path: Path) -> None:
    publish(tmp_path)
    engine = load_engine(published_models(tmp_path)[0], "cpu", PlanRequest(processors=2, lanes=2))

    async def test() -> None:
        await engine.run([np.zeros(SPEC.shape, np.uint8)], alone=False)

    asyncio.run(test())
    lanes = [thread.native_id for thread in threading.enumerate() if thread.name.startswith("model_")]
    assert lanes
    assert {os.getpriority(os.PRIO_PROCESS, lane or 0) for lane in lanes} == {10}
    assert os.getpriority(os.PRIO_PROCESS, 0) == 0
    engine.close()
