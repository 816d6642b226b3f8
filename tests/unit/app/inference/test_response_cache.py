"""The response cache: the same bytes, the same answer; bounded, and without the frames."""

import numpy as np

from app.inference.response_cache import ResponseCache
from clips import Clip, ClipSpec, load_clip
from tests.videos import RED, solid_video

CLIP = load_clip(solid_video(RED), ClipSpec(num_frames=2, height=32, width=32))


def keep(cache: ResponseCache, number: int) -> None:
    cache.keep(key(number), clip=CLIP, probabilities=np.array([number, -number], np.float32))


def key(number: int) -> bytes:
    return bytes([number]) * 32


def test_what_is_kept_is_found_again() -> None:
    cache = ResponseCache(2)
    keep(cache, 7)
    answer = cache.find(key(7))
    assert answer is not None
    assert answer.probabilities.tolist() == [7, -7]
    assert (answer.clip.video, answer.clip.frame_times_seconds) == (CLIP.video, CLIP.frame_times_seconds)
    assert cache.find(key(8)) is None


def test_who_was_not_asked_for_the_longest_goes_first() -> None:
    cache = ResponseCache(2)
    keep(cache, 1)
    keep(cache, 2)
    cache.find(key(1))
    keep(cache, 3)
    assert [number for number in (1, 2, 3) if cache.find(key(number))] == [1, 3]
    assert len(cache) == 2


def test_an_answer_that_is_kept_twice_counts_once() -> None:
    cache = ResponseCache(2)
    for number in (1, 2, 2):
        keep(cache, number)
    assert cache.find(key(1))


def test_neither_the_frames_nor_the_batch_of_an_answer_are_kept() -> None:
    cache = ResponseCache(1)
    batch = np.zeros((1000, 2), np.float32)
    cache.keep(key(1), CLIP, batch[0])
    answer = cache.find(key(1))
    assert answer is not None
    assert isinstance(answer.clip, Clip)
    assert answer.clip.frames.size == 0
    assert answer.probabilities.base is None


def test_a_cache_of_no_entries_is_off() -> None:
    assert not ResponseCache(0).is_on
    assert ResponseCache(1).is_on
