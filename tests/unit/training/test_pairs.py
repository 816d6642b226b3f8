"""Two clips of each video and picture: which frames they take, and that a pass can begin anywhere."""

from pathlib import Path

import numpy as np
import pytest
import torch

from training.augment import Augmentation
from training.dataset import LabelledClip
from training.decoding import DecodedClips
from training.pairs import ClipPairs
from training.pictures import StoredPictures

STORED, SIZE = 12, 4


def pairs(
    *, videos: int = 5, batch_size: int = 2, window: float = 0.5, num_frames: int = 3, pictures: int = 0, colour: float = 0
) -> ClipPairs:
    """Every pixel of frame f of video v is 20 v + f, and of picture p 200 + p."""
    numbers = 20 * np.arange(videos)[:, None] + np.arange(STORED)
    frames = np.broadcast_to(numbers[:, :, None, None, None], (videos, STORED, SIZE, SIZE, 3)).astype(np.uint8)
    clips = [LabelledClip(Path(f"{v}.mp4"), f"{v}.mp4", "", str(v), None, f"{v:064}") for v in range(videos)]
    augmentation = Augmentation(SIZE, flip=False, crop_scale_min=1, colour=colour)
    decoded = DecodedClips(clips, np.arange(videos), frames)
    grey = np.broadcast_to(200 + np.arange(pictures)[:, None, None, None], (pictures, SIZE, SIZE, 3)).astype(np.uint8)
    stored = StoredPictures(tuple(f"{p:064}" for p in range(pictures)), grey)
    return ClipPairs(decoded, batch_size, num_frames, window, augmentation, torch.device("cpu"), stored)


def seen(clip: torch.Tensor) -> np.ndarray:
    """(batch, frames): 20 v + f."""
    return clip[:, :, 0, 0, 0].numpy().astype(int)


def test_both_clips_are_of_the_same_video_and_of_a_window_of_it() -> None:
    for a, b in pairs(window=0.5).one_pass([0]):
        first, second = seen(a), seen(b)
        assert (first // 20 == second // 20).all()
        for clip in (first % 20, second % 20):
            assert (np.diff(clip, axis=1) > 0).all()
            assert (clip.max(axis=1) - clip.min(axis=1) < 6).all()


def test_the_clips_of_a_video_are_at_different_times() -> None:
    starts = [(seen(a)[:, 0], seen(b)[:, 0]) for epoch in range(10) for a, b in pairs().one_pass([0, epoch])]
    assert np.mean([(first != second).mean() for first, second in starts]) > 0.5


def test_a_pass_has_full_batches_alone_and_no_video_twice() -> None:
    batches = [seen(a)[:, 0] // 20 for a, _ in pairs(videos=5, batch_size=2).one_pass([0])]
    assert [len(batch) for batch in batches] == [2, 2]
    assert len(set(np.concatenate(batches).tolist())) == 4


def test_fewer_videos_than_a_batch_make_one() -> None:
    few = pairs(videos=3, batch_size=64)
    assert len(few) == 1
    assert [len(a) for a, _ in few.one_pass([0])] == [3]


@pytest.mark.parametrize("window", [0.01, 1.0])
def test_a_window_is_never_shorter_than_a_clip_nor_longer_than_the_video(window: float) -> None:
    for a, _ in pairs(window=window).one_pass([0]):
        assert (np.diff(seen(a), axis=1) > 0).all()


def test_both_clips_of_a_picture_are_the_picture_in_every_frame() -> None:
    clips = [np.concatenate([seen(a), seen(b)], axis=1) for a, b in pairs(videos=2, pictures=6).one_pass([0])]
    rows = np.concatenate(clips)
    rows = rows[rows[:, 0] >= 200]
    assert sorted(rows[:, 0]) == [200, 201, 202, 203, 204, 205]
    assert (rows == rows[:, :1]).all()


def test_the_clips_of_a_picture_are_changed_apart_from_each_other_and_each_stays_still() -> None:
    [(a, b)] = pairs(videos=0, pictures=4, batch_size=4, colour=0.5).one_pass([0])
    assert (a != b).flatten(1).any(dim=1).all()
    assert all(torch.equal(clip, clip[:, :1].expand_as(clip)) for clip in (a, b))


def test_videos_and_pictures_come_once_in_a_pass_in_mixed_batches_and_in_another_order_each() -> None:
    mixed = pairs(videos=8, pictures=8, batch_size=4)
    assert len(mixed) == 4
    passes = [[seen(a)[:, 0] for a, _ in mixed.one_pass([0, epoch])] for epoch in range(2)]
    videos, pictures = set(range(8)), set(range(200, 208))
    for batches in passes:
        firsts = np.concatenate(batches)
        assert {*(firsts[firsts < 200] // 20), *firsts[firsts >= 200]} == videos | pictures
        assert any(0 < (batch >= 200).sum() < 4 for batch in batches)
    assert any((x >= 200).tolist() != (y >= 200).tolist() for x, y in zip(*passes, strict=True))


def test_without_pictures_a_seed_gives_the_pairs_that_it_always_gave() -> None:
    drawn = [np.concatenate([seen(a), seen(b)], axis=1).tolist() for a, b in pairs(videos=4).one_pass([7, 1])]
    assert drawn == [
        [[42, 43, 45, 42, 44, 45], [0, 3, 4, 3, 5, 8]],
        [[61, 63, 65, 64, 66, 69], [22, 24, 26, 25, 27, 28]],
    ]


@pytest.mark.parametrize("pictures", [0, 4])
def test_a_pass_that_begins_in_the_middle_is_the_end_of_the_whole_one(pictures: int) -> None:
    mixed = pairs(videos=8 - pictures, pictures=pictures)
    whole, rest = list(mixed.one_pass([3, 1])), list(mixed.one_pass([3, 1], start=2))
    assert len(rest) == 2
    assert all(
        torch.equal(x, y) for ours, theirs in zip(whole[2:], rest, strict=True) for x, y in zip(ours, theirs, strict=True)
    )
