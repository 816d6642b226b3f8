"""Clips that are decoded again and again, ahead of whoever uses them."""

import os
import signal
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clips import ClipSpec, load_clip
from clips.errors import CommandError
from training import streaming
from training.dataset import LabelledClip, read_dataset
from training.reading import chunked
from training.streaming import StreamedClips
from training.workers import submitter, worker_count

SPEC = ClipSpec(num_frames=2, height=32, width=32)


@pytest.fixture
def some_clips(make_clips) -> list[LabelledClip]:
    return list(read_dataset(make_clips({"blue": 4, "red": 4})).clips)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_have_the_frames_of_their_clips_in_order(some_clips: list[LabelledClip], workers: int) -> None:
    order = np.array([5, 0, 7, 2, 2])
    with submitter(workers, 8) as submit:
        found = list(StreamedClips(some_clips, SPEC, submit).in_batches(chunked(order, 2)))
    assert [indices.tolist() for indices, _ in found] == [[5, 0], [7, 2], [2]]
    frames = np.concatenate([batch for _, batch in found])
    assert np.array_equal(frames, np.stack([load_clip(some_clips[at].path, SPEC).frames for at in order]))


class Recorded:
    """Jobs that are never done before somebody asks."""

    def __init__(self) -> None:
        self.jobs: list[Future[Any]] = []

    def submit(self, function: Any, *arguments: Any) -> Future[Any]:
        job: Future[Any] = Future()
        waiting = job.result

        def result(timeout: float | None = None) -> Any:
            if not job.done():
                job.set_result(function(*arguments))
            return waiting(timeout)

        job.result = result  # type: ignore[method-assign]
        self.jobs.append(job)
        return job


def test_two_batches_are_decoded_while_one_is_used_and_no_more(some_clips: list[LabelledClip]) -> None:
    pool = Recorded()
    batches = StreamedClips(some_clips, SPEC, pool.submit).in_batches(chunked(np.arange(8), 1))
    next(batches)
    assert len(pool.jobs) == 3
    next(batches)
    assert len(pool.jobs) == 4
    batches.close()  # type: ignore[attr-defined]
    assert [job.cancelled() for job in pool.jobs] == [False, False, True, True]


def test_a_clip_that_is_gone_meanwhile_is_named(some_clips: list[LabelledClip]) -> None:
    some_clips[3].path.unlink()
    with (
        submitter(0, 8) as submit,
        pytest.raises(CommandError, match=r"blue/3\.mp4 could be decoded at first"),
    ):
        list(StreamedClips(some_clips, SPEC, submit).in_batches([np.array([3])]))


def test_a_worker_that_is_killed_is_one_message(some_clips: list[LabelledClip], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "decode_clip", _killed)
    with submitter(2, 8) as submit, pytest.raises(CommandError, match="a decoding process died; --workers 0"):
        list(StreamedClips(some_clips, SPEC, submit).in_batches(chunked(np.arange(8), 2)))


def test_so_is_one_that_is_killed_between_two_batches(some_clips: list[LabelledClip]) -> None:
    with submitter(1, 8) as submit:
        batches = StreamedClips(some_clips, SPEC, submit).in_batches(chunked(np.arange(8), 2))
        next(batches)
        with suppress(CommandError):
            submit(_killed).exception()
        with pytest.raises(CommandError, match="a decoding process died"):
            list(batches)


def _killed(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_processes_of_one_machine_share_its_workers() -> None:
    assert worker_count(4, jobs=100, sharing=2) == 2
    assert worker_count(1, jobs=100, sharing=2) == 1
    assert worker_count(0, jobs=100, sharing=2) == 0
    assert worker_count(64, jobs=100, sharing=8) == 8
    assert worker_count(64, jobs=3, sharing=1) == 3


def test_the_clips_are_those_that_can_be_decoded(some_clips: list[LabelledClip], tmp_path: Path) -> None:
    """Nothing is left on disk."""
    with submitter(0, 8) as submit:
        streamed = StreamedClips(some_clips[:3], SPEC, submit)
        assert len(streamed) == 3
        assert streamed.clips == some_clips[:3]
    assert not list(tmp_path.glob("*.dat"))
