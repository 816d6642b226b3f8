"""Decode processes: the same clips as in this process, and a bad video costs its own process alone."""

import asyncio
import gc
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic

import numpy as np
import pytest

from app.inference import decode_worker, outage
from app.inference import decoder as decoder_module
from app.inference.decode_policy import DecodePolicy
from app.inference.decoder import ABANDONED_SECONDS, Decoder, WorkerDidNotStart
from app.inference.video_file import VideoFile
from clips import Clip, ClipError, ClipSpec, DecodeFailed, DecodeLimits, NotAVideo, TooFewFrames, load_clip
from tests.videos import numbered_video, one_frame_video

SPEC = ClipSpec(num_frames=4, height=32, width=32)
VIDEO = numbered_video()
TIMEOUT_SECONDS = 5.0

RunTest = Callable[[Callable[[Decoder], Awaitable[None]]], None]


@pytest.fixture(scope="module")
def run() -> Iterator[RunTest]:
    """Run an async test with a decoder of one process, which all tests of this file share."""
    with asyncio.Runner() as runner:
        decoder = Decoder(DecodePolicy(1, TIMEOUT_SECONDS, DecodeLimits()))
        runner.run(decoder.start())

        async def bounded(test: Callable[[Decoder], Awaitable[None]]) -> None:
            async with asyncio.timeout(60):
                await test(decoder)

        yield lambda test: runner.run(bounded(test))
        runner.run(decoder.close())


def run_apart(test: Callable[[Decoder], Awaitable[None]], **policy: int) -> None:
    """Run an async test with a decoder of its own, of one process."""

    async def bounded() -> None:
        decoder = Decoder(DecodePolicy(1, 30, DecodeLimits(), **policy))
        await decoder.start()
        try:
            await test(decoder)
        finally:
            await decoder.close()

    asyncio.run(asyncio.wait_for(bounded(), 60))


def the_worker_pid(decoder: Decoder) -> int:
    (worker,) = decoder._workers
    assert worker.pid
    return worker.pid


def stop_the_worker(decoder: Decoder) -> int:
    """From now on its decode never ends, as a decoder that hangs."""
    pid = the_worker_pid(decoder)
    os.kill(pid, signal.SIGSTOP)
    return pid


async def decode(decoder: Decoder, video: bytes = VIDEO) -> Clip:
    with VideoFile.of(video) as file:
        return await decoder.decode(file, SPEC)


async def decode_in_any_case(decoder: Decoder, video: bytes) -> None:
    with suppress(ClipError):
        await decode(decoder, video)


def open_descriptors(pid: int) -> int:
    gc.collect()  # arrays of other tests hold some of this process
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def hanging_decode(decoder: Decoder) -> "asyncio.Task[Clip]":
    stop_the_worker(decoder)
    task = asyncio.create_task(decode(decoder))
    await asyncio.sleep(0)
    assert len(decoder._idle) == 0
    return task


def test_a_worker_gives_the_same_clip_as_load_clip(run: RunTest) -> None:
    async def test(decoder: Decoder) -> None:
        clip, expected = await decode(decoder), load_clip(VIDEO, SPEC)
        assert np.array_equal(clip.frames, expected.frames)
        assert (clip.video, clip.frame_times_seconds) == (expected.video, expected.frame_times_seconds)

    run(test)


def test_a_refusal_arrives_as_itself_and_the_worker_goes_on(run: RunTest) -> None:
    async def test(decoder: Decoder) -> None:
        pid = the_worker_pid(decoder)
        with pytest.raises(TooFewFrames, match="1 frame"):
            await decode(decoder, one_frame_video())
        await decode(decoder)
        assert the_worker_pid(decoder) == pid

    run(test)


def test_a_decode_that_outstays_its_time_is_killed_and_the_next_one_works(run: RunTest) -> None:
    async def test(decoder: Decoder) -> None:
        stop_the_worker(decoder)
        with pytest.raises(DecodeFailed, match="longer than 5 s"):
            await decode(decoder)
        await decode(decoder)

    run(test)


def test_a_worker_that_dies_fails_its_own_video_alone(run: RunTest) -> None:
    async def test(decoder: Decoder) -> None:
        await decode(decoder)
        doomed = await hanging_decode(decoder)
        waiting = asyncio.create_task(decode(decoder))
        os.kill(the_worker_pid(decoder), signal.SIGKILL)
        with pytest.raises(DecodeFailed, match="stopped the decoder"):
            await doomed
        assert (await waiting).frames.shape == SPEC.shape

    run(test)


def test_an_idle_worker_that_dies_is_replaced_and_no_video_fails(run: RunTest) -> None:
    async def test(decoder: Decoder) -> None:
        await decode(decoder)
        pid = the_worker_pid(decoder)
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 a few ms
        assert (await decode(decoder)).frames.shape == SPEC.shape
        assert the_worker_pid(decoder) != pid

    run(test)


def test_a_caller_that_leaves_while_all_workers_are_busy_is_never_decoded(run: RunTest) -> None:
    async def test(decoder: Decoder) -> None:
        await decode(decoder)
        running = await hanging_decode(decoder)
        leaving = asyncio.create_task(decode(decoder, b"not a video"))
        await asyncio.sleep(0)
        leaving.cancel()
        os.kill(the_worker_pid(decoder), signal.SIGCONT)
        await running
        assert len(decoder._idle) == 1

    run(test)


def test_a_decode_whose_caller_left_is_ended(run: RunTest) -> None:
    async def test(decoder: Decoder) -> None:
        await decode(decoder)
        leaving = await hanging_decode(decoder)
        pid = the_worker_pid(decoder)
        started = monotonic()
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        await decode(decoder)
        assert monotonic() - started >= ABANDONED_SECONDS
        assert the_worker_pid(decoder) != pid

    run(test)


def test_many_videos_at_once_keep_their_own_answers(run: RunTest) -> None:
    videos = [numbered_video(num_frames=8 + i) for i in range(12)]

    async def test(decoder: Decoder) -> None:
        clips = await asyncio.gather(*(decode(decoder, video) for video in videos), return_exceptions=True)
        assert not any(isinstance(clip, ClipError) for clip in clips)
        assert [clip.video.frame_count for clip in clips] == list(range(8, 20))  # type: ignore[union-attr]

    run(test)


def test_an_empty_file_is_not_a_video(run: RunTest) -> None:
    async def test(decoder: Decoder) -> None:
        with pytest.raises(NotAVideo):
            await decode(decoder, b"")

    run(test)


def test_frames_can_be_read_after_the_next_video_and_cannot_be_written(run: RunTest) -> None:
    async def test(decoder: Decoder) -> None:
        first = await decode(decoder)
        before = first.frames.copy()
        await decode(decoder, numbered_video(num_frames=8))
        assert np.array_equal(first.frames, before)
        with pytest.raises(ValueError, match="read-only"):
            first.frames[0] = 0

    run(test)


def test_no_descriptor_stays_behind_on_either_side(run: RunTest) -> None:
    async def test(decoder: Decoder) -> None:
        for video in (VIDEO, b"not a video"):
            await decode_in_any_case(decoder, video)
        before = open_descriptors(os.getpid()), open_descriptors(the_worker_pid(decoder))
        for video in (VIDEO, b"not a video", b"") * 5:
            await decode_in_any_case(decoder, video)
        assert (open_descriptors(os.getpid()), open_descriptors(the_worker_pid(decoder))) == before

    run(test)


def test_a_dead_worker_is_replaced_without_a_request(run: RunTest) -> None:
    async def test(decoder: Decoder) -> None:
        await decode(decoder)
        pid = the_worker_pid(decoder)
        os.kill(pid, signal.SIGKILL)
        worker = await decoder._idle.get()
        while worker.pid == pid:  # its death is not known yet
            decoder._idle.put(worker)
            await asyncio.sleep(0)
            worker = await decoder._idle.get()
        decoder._idle.put(worker)

    run(test)


def test_a_process_that_was_ended_between_two_steps_gets_no_video(run: RunTest) -> None:
    async def test(decoder: Decoder) -> None:
        ended = await decoder._idle.get()
        before = ended.decoded
        waiting = asyncio.create_task(decode(decoder))
        await asyncio.sleep(0)
        decoder._idle.put(ended)  # handed to the video that waits, which has not taken it yet
        ended.kill("abandoned")
        assert (await waiting).frames.shape == SPEC.shape
        assert ended.decoded == before

    run(test)


def test_a_worker_makes_way_after_its_share_of_videos_and_nobody_waits_for_it() -> None:
    async def test(decoder: Decoder) -> None:
        (first,) = decoder._workers
        while first.is_alive:
            await decode(decoder)
            assert any(worker.is_alive for worker in decoder._members)
        assert first.decoded >= 3
        assert first.reason == "recycled"
        (second,) = decoder._workers
        assert second.decoded <= 1

    run_apart(test, recycle_clips=3)


def test_a_worker_that_dies_while_its_successor_starts_has_no_other_successor() -> None:
    async def test(decoder: Decoder) -> None:
        (first,) = decoder._workers
        await decode(decoder)
        await decode(decoder)
        os.kill(first.pid, signal.SIGKILL)
        while first.is_alive:
            with suppress(DecodeFailed):  # the one that was handed to it before its death was known
                await decode(decoder)
        await asyncio.gather(*decoder._tasks)
        assert len(decoder._members) == len(decoder._workers) == 1

    run_apart(test, recycle_clips=2)


def test_a_decoder_that_cannot_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_worker, "PROGRAM", "no.such.module")

    async def test() -> None:
        decoder = Decoder(DecodePolicy(2, TIMEOUT_SECONDS, DecodeLimits()))
        try:
            with pytest.raises(WorkerDidNotStart, match="did not start"):
                await decoder.start()
        finally:
            await decoder.close()

    asyncio.run(asyncio.wait_for(test(), 60))


def test_an_outage_is_told_once_it_lasts_and_when_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "OUTAGE_SECONDS", 0.05)
    monkeypatch.setattr(decoder_module, "_RESTART_PAUSE_SECONDS", 0.05)
    told: asyncio.Queue[str | None] = asyncio.Queue()

    async def test() -> None:
        decoder = Decoder(DecodePolicy(2, TIMEOUT_SECONDS, DecodeLimits()), told.put_nowait)
        await decoder.start()
        assert [await told.get(), await told.get()] == [None, None]
        with monkeypatch.context() as broken:
            broken.setattr(decode_worker, "PROGRAM", "no.such.module")
            first, second = decoder._members
            os.kill(first.pid, signal.SIGKILL)
            while first.is_alive:
                await decode_in_any_case(decoder, VIDEO)
            assert decoder._outage._timer is None, "one is left"
            os.kill(second.pid, signal.SIGKILL)
            assert "no decode process is alive" in (await told.get() or "")
        assert await told.get() is None
        await decoder.close()

    asyncio.run(asyncio.wait_for(test(), 60))


def test_processes_that_are_all_replaced_at_once_are_no_outage() -> None:
    told: asyncio.Queue[str | None] = asyncio.Queue()

    async def test() -> None:
        decoder = Decoder(DecodePolicy(1, TIMEOUT_SECONDS, DecodeLimits()), told.put_nowait)
        await decoder.start()
        os.kill(the_worker_pid(decoder), signal.SIGKILL)
        assert [await told.get(), await told.get()] == [None, None]
        assert decoder._outage._timer is None
        await decoder.close()

    asyncio.run(asyncio.wait_for(test(), 60))


def test_closing_ends_every_process() -> None:
    async def test() -> set[int]:
        decoder = Decoder(DecodePolicy(2, TIMEOUT_SECONDS, DecodeLimits()))
        await decoder.start()
        pids = {worker.pid for worker in decoder._workers}
        await decoder.close()
        return pids

    assert [pid for pid in asyncio.run(test()) if Path(f"/proc/{pid}").exists()] == []
