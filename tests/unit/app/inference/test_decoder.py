"""Decode processes: the same clips as in this process, and a bad video costs its own process alone."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from time import monotonic

import numpy as np
import pytest

from app.inference.decoder import ABANDONED_SECONDS, DecodePolicy, Decoder
from clips import Clip, ClipError, ClipSpec, DecodeFailed, DecodeLimits, TooFewFrames, load_clip
from tests.videos import numbered_video, one_frame_video

SPEC = ClipSpec(num_frames=4, height=32, width=32)
VIDEO = numbered_video()
TIMEOUT_SECONDS = 2.0

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


def the_worker_pid(decoder: Decoder) -> int:
    (worker,) = decoder._workers
    assert worker.pid
    return worker.pid


def stop_the_worker(decoder: Decoder) -> int:
    """From now on its decode never ends, as a decoder that hangs."""
    pid = the_worker_pid(decoder)
    os.kill(pid, signal.SIGSTOP)
    return pid


async def hanging_decode(decoder: Decoder) -> "asyncio.Task[Clip]":
    stop_the_worker(decoder)
    task = asyncio.create_task(decoder.decode(VIDEO, SPEC))
    await asyncio.sleep(0)
    assert decoder._idle.empty()
    return task


def test_a_worker_gives_the_same_clip_as_load_clip(run: RunTest) -> None:
    async def test(decoder: Decoder) -> None:
        clip, expected = await decoder.decode(VIDEO, SPEC), load_clip(VIDEO, SPEC)
        assert np.array_equal(clip.frames, expected.frames)
        assert (clip.video, clip.frame_times_seconds) == (expected.video, expected.frame_times_seconds)

    run(test)


def test_a_refusal_arrives_as_itself_and_the_worker_goes_on(run: RunTest) -> None:
    async def test(decoder: Decoder) -> None:
        pid = the_worker_pid(decoder)
        with pytest.raises(TooFewFrames, match="1 frame"):
            await decoder.decode(one_frame_video(), SPEC)
        await decoder.decode(VIDEO, SPEC)
        assert the_worker_pid(decoder) == pid

    run(test)


def test_a_decode_that_outstays_its_time_is_killed_and_the_next_one_works(run: RunTest) -> None:
    async def test(decoder: Decoder) -> None:
        stop_the_worker(decoder)
        with pytest.raises(DecodeFailed, match="longer than 2 s"):
            await decoder.decode(VIDEO * 1000, SPEC)  # more than a pipe holds: sending alone blocks
        await decoder.decode(VIDEO, SPEC)

    run(test)


def test_a_worker_that_dies_fails_its_own_video_alone(run: RunTest) -> None:
    async def test(decoder: Decoder) -> None:
        await decoder.decode(VIDEO, SPEC)
        doomed = await hanging_decode(decoder)
        waiting = asyncio.create_task(decoder.decode(VIDEO, SPEC))
        os.kill(the_worker_pid(decoder), signal.SIGKILL)
        with pytest.raises(DecodeFailed, match="stopped the decoder"):
            await doomed
        assert (await waiting).frames.shape == SPEC.shape

    run(test)


def test_an_idle_worker_that_dies_is_replaced_and_no_video_fails(run: RunTest) -> None:
    async def test(decoder: Decoder) -> None:
        await decoder.decode(VIDEO, SPEC)
        pid = the_worker_pid(decoder)
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 a few ms
        assert (await decoder.decode(VIDEO, SPEC)).frames.shape == SPEC.shape
        assert the_worker_pid(decoder) != pid

    run(test)


def test_a_caller_that_leaves_while_all_workers_are_busy_is_never_decoded(run: RunTest) -> None:
    async def test(decoder: Decoder) -> None:
        await decoder.decode(VIDEO, SPEC)
        running = await hanging_decode(decoder)
        leaving = asyncio.create_task(decoder.decode(b"not a video", SPEC))
        await asyncio.sleep(0)
        leaving.cancel()
        os.kill(the_worker_pid(decoder), signal.SIGCONT)
        await running
        assert decoder._idle.qsize() == 1

    run(test)


def test_a_decode_whose_caller_left_is_ended(run: RunTest) -> None:
    async def test(decoder: Decoder) -> None:
        await decoder.decode(VIDEO, SPEC)
        leaving = await hanging_decode(decoder)
        pid = the_worker_pid(decoder)
        started = monotonic()
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        await decoder.decode(VIDEO, SPEC)
        assert monotonic() - started >= ABANDONED_SECONDS
        assert the_worker_pid(decoder) != pid

    run(test)


def test_many_videos_at_once_keep_their_own_answers(run: RunTest) -> None:
    videos = [numbered_video(num_frames=8 + i) for i in range(12)]

    async def test(decoder: Decoder) -> None:
        clips = await asyncio.gather(*(decoder.decode(video, SPEC) for video in videos), return_exceptions=True)
        assert not any(isinstance(clip, ClipError) for clip in clips)
        assert [clip.video.frame_count for clip in clips] == list(range(8, 20))  # type: ignore[union-attr]

    run(test)
