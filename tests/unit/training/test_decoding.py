"""Clips on disk to frames in one file."""

import errno
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from clips import ClipSpec, load_clip
from clips.errors import CommandError
from training import decoding
from training.dataset import LabelledClip, read_dataset
from training.decoding import decode_clips

SPEC = ClipSpec(num_frames=2, height=32, width=32)


@pytest.fixture
def some_clips(make_clips) -> list[LabelledClip]:
    return list(read_dataset(make_clips({"blue": 2, "red": 2})).clips)


@pytest.mark.parametrize("workers", [0, 2])
def test_frames_are_exactly_what_load_clip_gives(some_clips: list[LabelledClip], tmp_path: Path, workers: int) -> None:
    decoded, skipped = decode_clips(some_clips, SPEC, tmp_path / "frames.dat", workers, "test")
    assert not skipped
    for i, clip in enumerate(some_clips):
        assert np.array_equal(decoded.read([i])[0], load_clip(clip.path, SPEC).frames)


def test_a_clip_that_cannot_be_decoded_is_named_and_left_out(some_clips: list[LabelledClip], tmp_path: Path) -> None:
    some_clips[1].path.write_bytes(b"not a video")
    decoded, skipped = decode_clips(some_clips, SPEC, tmp_path / "frames.dat", 0, "test")
    assert [(clip.name, clip.code) for clip in skipped] == [("blue/1.mp4", "not_a_video")]
    assert [clip.label for clip in decoded.clips] == ["blue", "red", "red"]
    assert np.array_equal(decoded.read([1])[0], load_clip(some_clips[2].path, SPEC).frames)


def test_a_class_of_which_nothing_can_be_decoded_stops_the_run(some_clips: list[LabelledClip], tmp_path: Path) -> None:
    for clip in some_clips[2:]:
        clip.path.write_bytes(b"not a video")
    with pytest.raises(CommandError, match=r"no clip of class red can be decoded; red/0\.mp4"):
        decode_clips(some_clips, SPEC, tmp_path / "frames.dat", 0, "test")


def test_clips_larger_than_the_disk_are_refused_before_decoding(some_clips: list[LabelledClip], tmp_path: Path) -> None:
    huge = ClipSpec(num_frames=512, height=2048, width=2048)
    with pytest.raises(CommandError, match="make room there"):
        decode_clips(some_clips * 50_000, huge, tmp_path / "frames.dat", 0, "test")


def test_room_that_somebody_else_has_taken_is_missed_before_decoding(
    some_clips: list[LabelledClip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without that, writing into the mapped file would end the process."""

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(CommandError, match="make room there"):
        decode_clips(some_clips, SPEC, tmp_path / "frames.dat", 0, "test")


@pytest.mark.parametrize("problem", [AttributeError(), OSError(errno.EOPNOTSUPP, "not supported")], ids=repr)
def test_where_room_cannot_be_taken_clips_are_decoded_all_the_same(
    some_clips: list[LabelledClip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    def unable(*_: int) -> None:
        raise problem

    monkeypatch.setattr(os, "posix_fallocate", unable)
    decoded, _ = decode_clips(some_clips, SPEC, tmp_path / "frames.dat", 0, "test")
    assert np.array_equal(decoded.read([1])[0], load_clip(some_clips[1].path, SPEC).frames)


def test_the_room_is_taken_before_decoding(some_clips: list[LabelledClip], tmp_path: Path) -> None:
    decode_clips(some_clips, SPEC, tmp_path / "frames.dat", 0, "test")
    found = (tmp_path / "frames.dat").stat()
    assert found.st_blocks * 512 >= found.st_size == len(some_clips) * np.prod(SPEC.shape)


def test_a_worker_that_is_killed_is_one_message(
    some_clips: list[LabelledClip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "_decode_into", _killed)
    with pytest.raises(CommandError, match="a decoding process died; --workers 0"):
        decode_clips(some_clips, SPEC, tmp_path / "frames.dat", 2, "test")


def _killed(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
