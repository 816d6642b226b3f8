"""The queue in front of a model: when a batch leaves, and that each clip gets exactly one outcome."""

import asyncio
import weakref
from time import monotonic

import numpy as np
import pytest

from app.errors import DeadlineExceeded, Draining, InferenceFailed, QueueFull
from app.inference.batch_run import Clips, Probabilities, RunModel
from app.inference.batcher import CALM_SECONDS, Batcher, BatchPolicy
from app.observability import metrics
from app.observability.stages import keep_record
from tests.unit.app.inference.echo_model import SHAPE, EchoModel, clip, number_of, run

LATER = 60.0


def batcher(model: RunModel, policy: BatchPolicy | None = None) -> Batcher:
    return Batcher("echo/1", SHAPE, 2, model, policy or BatchPolicy())


def ask(queue: Batcher, number: int, seconds: float = LATER, flow: object = None) -> "asyncio.Task[Probabilities]":
    return asyncio.create_task(queue.infer(clip(number), monotonic() + seconds, flow))


async def with_running_batch(model: EchoModel, queue: Batcher) -> "asyncio.Task[Probabilities]":
    """Clip 0 runs and will not end before the gate opens."""
    model.gate.clear()
    first = ask(queue, 0)
    await model.started.wait()
    return first


async def until_waiting(queue: Batcher, count: int) -> None:
    """Let every task take its next step."""
    await asyncio.sleep(0)
    assert len(queue) == count


async def until_running(model: EchoModel, batches: int) -> None:
    """So many are with the model, whose gate is closed."""
    while len(model.batches) < batches:
        model.started.clear()
        await model.started.wait()


def seconds_counted(stage: str) -> float:
    """Sum of the stage in the metrics."""
    (family,) = metrics.STAGE_SECONDS.labels(stage).collect()
    return next(sample.value for sample in family.samples if sample.name.endswith("_sum"))


def test_a_lone_clip_is_sent_at_once() -> None:
    async def test() -> None:
        model = EchoModel()
        queue = batcher(model)
        assert number_of(await ask(queue, 7)) == 7
        assert model.batches == [[7]]
        await queue.close()

    run(test)


def test_a_clip_that_is_answered_is_not_kept() -> None:
    """A lane that waits for its next batch would hold the memory file of its last one."""

    async def test() -> None:
        queue = batcher(EchoModel())
        frames = clip(3)
        kept = weakref.ref(frames)
        await queue.infer(frames, monotonic() + LATER)
        del frames
        await asyncio.sleep(0)
        assert kept() is None
        await queue.close()

    run(test)


def test_clips_that_arrive_during_a_run_form_the_next_batch_in_order() -> None:
    async def test() -> None:
        model = EchoModel()
        queue = batcher(model, BatchPolicy(max_batch_size=4))
        asked = [await with_running_batch(model, queue)] + [ask(queue, n) for n in range(1, 7)]
        await until_waiting(queue, 6)
        model.gate.set()
        outcomes = await asyncio.gather(*asked)
        assert model.batches == [[0], [1, 2, 3, 4], [5, 6]]
        assert [number_of(outcome) for outcome in outcomes] == list(range(7))
        await queue.close()

    run(test)


def test_a_delay_counts_from_the_first_arrival_and_a_full_batch_does_not_wait_for_it() -> None:
    async def test() -> None:
        model = EchoModel()
        queue = batcher(model, BatchPolicy(max_batch_size=3, max_queue_delay_seconds=LATER))
        await asyncio.gather(*(ask(queue, n) for n in range(3)))
        assert model.batches == [[0, 1, 2]]
        await queue.close()

    run(test)


def test_a_delay_that_has_passed_sends_what_there_is() -> None:
    async def test() -> None:
        model = EchoModel()
        queue = batcher(model, BatchPolicy(max_queue_delay_seconds=0.02))
        with keep_record() as times:
            await asyncio.gather(ask(queue, 1), ask(queue, 2))
        assert model.batches == [[1, 2]]
        assert times.seconds["queue"] >= 0.02
        await queue.close()

    run(test)


def test_a_caller_that_leaves_early_is_never_computed() -> None:
    async def test() -> None:
        model = EchoModel()
        queue = batcher(model)
        first = await with_running_batch(model, queue)
        leaving, staying = ask(queue, 1), ask(queue, 2)
        await until_waiting(queue, 2)
        leaving.cancel()
        await until_waiting(queue, 1)
        model.gate.set()
        await asyncio.gather(first, staying)
        assert model.batches == [[0], [2]]
        await queue.close()

    run(test)


def test_a_caller_that_leaves_in_the_moment_in_which_its_batch_is_put_together_is_never_computed() -> None:
    async def test() -> None:
        model = EchoModel()
        queue = batcher(model)
        first = await with_running_batch(model, queue)
        leaving, staying = ask(queue, 1), ask(queue, 2)
        await until_waiting(queue, 2)
        model.gate.set()
        leaving.cancel()
        await asyncio.gather(first, staying)
        assert model.batches == [[0], [2]]
        await queue.close()

    run(test)


def test_a_caller_that_leaves_during_the_run_harms_nobody() -> None:
    async def test() -> None:
        model = EchoModel()
        queue = batcher(model)
        first = await with_running_batch(model, queue)
        together = [ask(queue, 1), ask(queue, 2)]
        await until_waiting(queue, 2)
        model.started.clear()
        model.gate.set()
        await first
        model.gate.clear()
        await model.started.wait()
        together[0].cancel()
        model.gate.set()
        assert number_of(await together[1]) == 2
        assert number_of(await ask(queue, 3)) == 3
        await queue.close()

    run(test)


def test_one_clip_more_than_the_queue_holds_is_refused() -> None:
    async def test() -> None:
        model = EchoModel()
        queue = batcher(model, BatchPolicy(max_queue_size=2))
        admitted = [await with_running_batch(model, queue), ask(queue, 1), ask(queue, 2)]
        await until_waiting(queue, 2)
        with pytest.raises(QueueFull):
            await ask(queue, 3)
        model.gate.set()
        assert [number_of(outcome) for outcome in await asyncio.gather(*admitted)] == [0, 1, 2]
        await queue.close()

    run(test)


def test_a_clip_whose_deadline_passes_in_the_queue_is_answered_then_and_never_computed() -> None:
    async def test() -> None:
        model = EchoModel()
        queue = batcher(model)
        first = await with_running_batch(model, queue)
        with pytest.raises(DeadlineExceeded):
            await ask(queue, 1, seconds=0.01)
        model.gate.set()
        await first
        await queue.close()
        assert model.batches == [[0]]

    run(test)


async def raising(clips: Clips, alone: bool) -> Probabilities:
    raise RuntimeError("a kernel does not like this")


async def one_row_short(clips: Clips, alone: bool) -> Probabilities:
    return np.zeros((len(clips) - 1, 2), np.float32)


async def one_row_too_many(clips: Clips, alone: bool) -> Probabilities:
    return np.zeros((len(clips) + 1, 2), np.float32)


async def one_label_short(clips: Clips, alone: bool) -> Probabilities:
    return np.zeros((len(clips), 1), np.float32)


async def nothing_at_all(clips: Clips, alone: bool) -> Probabilities:
    return None  # type: ignore[return-value]


@pytest.mark.parametrize("model", [raising, one_row_short, one_row_too_many, one_label_short, nothing_at_all])
def test_a_model_that_fails_answers_every_caller_and_the_next_batch_still_runs(model: RunModel) -> None:
    async def test() -> None:
        queue = batcher(model)
        for _ in range(2):
            outcomes = await asyncio.gather(ask(queue, 1), ask(queue, 2), return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [InferenceFailed, InferenceFailed]
        await queue.close()

    run(test)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1.002, -0.002, 7.0])
def test_a_row_that_holds_no_probabilities_fails_its_own_clip_alone(bad: float) -> None:
    async def second_is_bad(clips: Clips, alone: bool) -> Probabilities:
        rows = np.ones((len(clips), 2), np.float32)
        rows[1, 1] = bad
        return rows

    async def test() -> None:
        queue = batcher(second_is_bad, BatchPolicy(max_batch_size=2, max_queue_delay_seconds=LATER))
        good, failed = await asyncio.gather(ask(queue, 1), ask(queue, 2), return_exceptions=True)
        assert isinstance(good, np.ndarray)
        assert isinstance(failed, InferenceFailed)
        await queue.close()

    run(test)


def test_what_a_model_rounds_beyond_0_and_1_is_answered_as_these() -> None:
    async def rounded(clips: Clips, alone: bool) -> Probabilities:
        return np.array([[1.0005, -0.0005]] * len(clips), np.float32)

    async def test() -> None:
        queue = batcher(rounded)
        assert (await ask(queue, 1)).tolist() == [1, 0]
        await queue.close()

    run(test)


def test_a_deadline_that_passes_in_the_queue_leaves_its_time_there_behind() -> None:
    async def test() -> None:
        model = EchoModel()
        queue = batcher(model)
        first = await with_running_batch(model, queue)
        before = seconds_counted("queue")
        with keep_record() as times, pytest.raises(DeadlineExceeded):
            await ask(queue, 1, seconds=0.02)
        assert list(times.seconds) == ["queue"]
        assert times.seconds["queue"] >= 0.02
        assert seconds_counted("queue") - before == pytest.approx(times.seconds["queue"])
        model.gate.set()
        await first
        await queue.close()

    run(test)


def test_a_clip_on_which_the_model_fails_leaves_the_times_of_both_stages_behind() -> None:
    async def test() -> None:
        queue = batcher(raising)
        with keep_record() as times, pytest.raises(InferenceFailed):
            await ask(queue, 1)
        assert list(times.seconds) == ["queue", "model"]
        await queue.close()

    run(test)


@pytest.mark.parametrize(("runs", "stages"), [(False, ["queue"]), (True, ["queue", "model"])])
def test_a_caller_that_leaves_leaves_its_times_behind(runs: bool, stages: list[str]) -> None:
    async def test() -> None:
        model = EchoModel()
        queue = batcher(model)
        with keep_record() as times:
            leaving = await with_running_batch(model, queue) if runs else ask(queue, 1)
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        assert list(times.seconds) == stages
        model.gate.set()
        await queue.close()

    run(test)


def test_who_waits_as_the_server_ends_leaves_its_time_behind() -> None:
    async def test() -> None:
        model = EchoModel()
        queue = batcher(model)
        first = await with_running_batch(model, queue)
        with keep_record() as times:
            waiting = ask(queue, 1)
        await until_waiting(queue, 1)
        closing = asyncio.create_task(queue.close())
        with pytest.raises(Draining):
            await waiting
        assert list(times.seconds) == ["queue"]
        model.gate.set()
        await asyncio.gather(first, closing)

    run(test)


def test_closing_answers_everyone() -> None:
    async def test() -> None:
        model = EchoModel()
        queue = batcher(model)
        first = await with_running_batch(model, queue)
        waiting = ask(queue, 1)
        await until_waiting(queue, 1)
        closing = asyncio.create_task(queue.close())
        with pytest.raises(Draining):
            await waiting
        model.gate.set()
        assert number_of(await first) == 0
        await closing
        with pytest.raises(Draining):
            await ask(queue, 2)

    run(test)


def test_a_clip_of_another_shape_never_enters_the_queue() -> None:
    async def test() -> None:
        queue = batcher(EchoModel())
        with pytest.raises(ValueError, match="takes uint8 clips"):
            await queue.infer(np.zeros((2, 2, 2, 3), np.uint8), monotonic() + LATER)
        await queue.close()

    run(test)


def test_lanes_run_side_by_side() -> None:
    async def test() -> None:
        model = EchoModel()
        queue = batcher(model, BatchPolicy(max_batch_size=1, lanes=2))
        model.gate.clear()
        asked = [ask(queue, n) for n in range(3)]
        await until_running(model, 2)
        await until_waiting(queue, 1)
        assert model.batches == [[0], [1]]
        model.gate.set()
        assert [number_of(outcome) for outcome in await asyncio.gather(*asked)] == [0, 1, 2]
        await queue.close()

    run(test)


def test_closing_waits_for_every_lane() -> None:
    async def test() -> None:
        model = EchoModel()
        queue = batcher(model, BatchPolicy(max_batch_size=1, lanes=2))
        model.gate.clear()
        asked = [ask(queue, n) for n in range(3)]
        await until_running(model, 2)
        closing = asyncio.create_task(queue.close())
        with pytest.raises(Draining):
            await asked[2]
        model.gate.set()
        await closing
        assert [number_of(outcome) for outcome in await asyncio.gather(*asked[:2])] == [0, 1]

    run(test)


def test_a_flow_of_many_clips_takes_turns_with_single_ones() -> None:
    async def test() -> None:
        model = EchoModel()
        queue = batcher(model, BatchPolicy(max_batch_size=1))
        first = await with_running_batch(model, queue)
        many = [ask(queue, n, flow="timeline") for n in range(1, 6)]
        await until_waiting(queue, 5)
        singles = [ask(queue, n) for n in (11, 12)]
        await until_waiting(queue, 7)
        model.gate.set()
        await asyncio.gather(first, *many, *singles)
        assert model.batches == [[0], [1], [11], [12], [2], [3], [4], [5]]
        await queue.close()

    run(test)


def test_a_run_is_told_when_it_has_the_machine_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.inference.batcher.CALM_SECONDS", 0.0)

    async def test() -> None:
        model = EchoModel()
        queue = batcher(model, BatchPolicy(max_batch_size=1, lanes=2))
        await ask(queue, 0)
        with queue.expected():
            await ask(queue, 1)
        model.gate.clear()
        together = [ask(queue, 2), ask(queue, 3)]
        await until_running(model, 4)
        model.gate.set()
        await asyncio.gather(*together)
        await ask(queue, 4)
        assert model.alone == [True, False, False, False, True]
        await queue.close()

    run(test)


def test_clips_that_were_together_until_now_are_not_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long ago they met."""
    passed = [0.0]
    monkeypatch.setattr("app.inference.batcher.monotonic", lambda: monotonic() + passed[0])

    async def test() -> None:
        model = EchoModel()
        queue = batcher(model, BatchPolicy(max_batch_size=1, lanes=2))
        model.gate.clear()
        together = [ask(queue, 1), ask(queue, 2)]
        await until_running(model, 2)
        passed[0] += 2 * CALM_SECONDS
        model.gate.set()
        await asyncio.gather(*together)
        await ask(queue, 3)
        passed[0] += 2 * CALM_SECONDS
        await ask(queue, 4)
        assert model.alone[-2:] == [False, True]
        await queue.close()

    run(test)


def test_clips_that_met_of_late_are_not_alone() -> None:
    """The next one would find no processor free."""

    async def test() -> None:
        model = EchoModel()
        queue = batcher(model, BatchPolicy(max_batch_size=1, lanes=2))
        await ask(queue, 0)
        await asyncio.gather(ask(queue, 1), ask(queue, 2))
        await ask(queue, 3)
        assert model.alone == [True, False, False, False]
        await queue.close()

    run(test)
