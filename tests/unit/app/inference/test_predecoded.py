"""Clips of one request: queued at once, answered in order, and all of them or none."""

import asyncio
from time import monotonic

import pytest

from app.errors import DeadlineExceeded, InferenceFailed, QueueFull
from app.inference.batch_run import Probabilities
from app.inference.batcher import Batcher, BatchPolicy
from app.inference.predecoded import infer_clips
from app.observability.stages import keep_record
from tests.unit.app.inference.echo_model import SHAPE, EchoModel, clip, number_of, run

LATER = 60.0


def batcher(model: EchoModel, max_batch_size: int = 8, max_queue_size: int = 64) -> Batcher:
    return Batcher("echo/1", SHAPE, 2, model, BatchPolicy(max_batch_size, max_queue_size=max_queue_size))


async def infer(queue: Batcher, *numbers: int, seconds: float = LATER) -> Probabilities:
    return await infer_clips(queue, [clip(number) for number in numbers], monotonic() + seconds)


def test_clips_are_answered_in_their_order_by_as_few_runs_as_there_can_be() -> None:
    async def test() -> None:
        model = EchoModel()
        queue = batcher(model, max_batch_size=4)
        with keep_record() as times:
            outcomes = await infer(queue, 5, 3, 9, 1, 7)
        assert [number_of(row) for row in outcomes] == [5, 3, 9, 1, 7]
        assert model.batches == [[5, 3, 9, 1], [7]]
        assert list(times.seconds) == ["queue", "model"]
        await queue.close()

    run(test)


def test_one_clip_that_fails_fails_its_request() -> None:
    async def test() -> None:
        queue = batcher(EchoModel(poison=[6]), max_batch_size=1)
        with pytest.raises(InferenceFailed):
            await infer(queue, 1, 6, 2, 3)
        assert len(queue) == 0
        await queue.close()

    run(test)


def test_clips_that_fail_leave_the_times_of_one_of_them_behind() -> None:
    """One runs while the other waits: queue of the one and model of the other would be longer than both."""

    async def test() -> None:
        model = EchoModel()
        model.gate.clear()
        queue = batcher(model, max_batch_size=1)
        started = monotonic()
        with keep_record() as times, pytest.raises(DeadlineExceeded):
            await infer(queue, 1, 2, seconds=0.05)
        assert 0.05 <= sum(times.seconds.values()) <= monotonic() - started
        model.gate.set()
        await queue.close()

    run(test)


def test_clips_that_find_no_room_leave_none_of_theirs_behind() -> None:
    async def test() -> None:
        model = EchoModel()
        queue = batcher(model, max_queue_size=2)
        with pytest.raises(QueueFull):
            await infer(queue, 1, 2, 3)
        assert len(queue) == 0
        await queue.close()

    run(test)


def test_a_deadline_that_has_passed() -> None:
    async def test() -> None:
        queue = batcher(EchoModel())
        with pytest.raises(DeadlineExceeded):
            await infer(queue, 1, 2, seconds=-1)
        assert len(queue) == 0
        await queue.close()

    run(test)


def test_a_caller_that_leaves_takes_its_clips_along() -> None:
    async def test() -> None:
        model = EchoModel()
        model.gate.clear()
        queue = batcher(model, max_batch_size=1)
        asked = asyncio.create_task(infer(queue, 1, 2, 3))
        await model.started.wait()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert len(queue) == 0
        model.gate.set()
        await queue.close()
        assert model.answered == [1]

    run(test)
