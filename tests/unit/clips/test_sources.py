"""Where the bytes come from and where the pictures go makes no difference to them."""

import io
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from clips import ClipSpec, DecodeFailed, NotAVideo, UnsupportedContainer, load_clip
from clips.container import VideoBytes
from tests.encodings import grainy
from tests.videos import MPEG2_TS, frame_number, numbered_video, truncated

SPEC = ClipSpec(num_frames=4, height=48, width=64)
SOURCES = ("text path", "path", "open file", "unbuffered file", "bytes in memory", "memory map")


@contextmanager
def source(kind: str, path: Path) -> Iterator[str | Path | VideoBytes]:
    if kind in ("text path", "path"):
        yield str(path) if kind == "text path" else path
    elif kind == "bytes in memory":
        yield io.BytesIO(path.read_bytes())
    else:
        with path.open("rb", buffering=0 if kind == "unbuffered file" else -1) as file:
            if kind != "memory map":
                yield file
                return
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                yield mapped


@pytest.mark.parametrize("name", ["h264-pyramid", "h264-pyramid-mkv", "mpeg4-avi", "mpeg2-ts"])
@pytest.mark.parametrize("kind", SOURCES)
def test_every_source_gives_the_clip_of_the_bytes(kind: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.m3u8"
    path.write_bytes(grainy(name))
    from_bytes = load_clip(grainy(name), SPEC)
    with source(kind, path) as video:
        clip = load_clip(video, SPEC)
    assert np.array_equal(clip.frames, from_bytes.frames)
    assert (clip.frame_times_seconds, clip.video) == (from_bytes.frame_times_seconds, from_bytes.video)


@pytest.mark.parametrize("kind", ["open file", "bytes in memory", "memory map"])
def test_what_is_missing_is_seen_in_every_source(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "cut.mkv"
    path.write_bytes(truncated(grainy("h264-pyramid-mkv"), 0.7))
    with source(kind, path) as video:
        assert load_clip(video, SPEC).video.missing_fraction > 0.1


@pytest.mark.parametrize("kind", ["open file", "bytes in memory", "memory map"])
def test_a_source_is_read_from_its_start_however_often(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(numbered_video())
    with source(kind, path) as video:
        first, second = load_clip(video, SPEC), load_clip(video, SPEC)
    assert np.array_equal(first.frames, second.frames)


def test_a_file_stays_open() -> None:
    file = io.BytesIO(numbered_video())
    load_clip(file, SPEC)
    assert not file.closed


def test_a_path_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_clip(tmp_path / "nothing.mp4", SPEC)


class Named(io.BytesIO):
    """A file whose name a client chose."""

    name = "x.m3u8"


def test_a_name_that_a_client_chose_opens_nothing(tmp_path: Path) -> None:
    secret = tmp_path / "secret.ts"
    secret.write_bytes(numbered_video(encoding=MPEG2_TS))
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://{secret}\n#EXT-X-ENDLIST\n".encode()
    with av.open(Named(playlist)) as unprotected:
        assert unprotected.streams.video, "without protection the name does lead to the other file"
    with pytest.raises((UnsupportedContainer, NotAVideo)):
        load_clip(Named(playlist), SPEC)


def test_a_name_that_a_client_chose_says_nothing_about_a_video() -> None:
    assert np.array_equal(load_clip(Named(numbered_video()), SPEC).frames, load_clip(numbered_video(), SPEC).frames)


def test_memory_of_the_caller_receives_the_frames() -> None:
    memory = mmap.mmap(-1, int(np.prod(SPEC.shape)))
    out = np.frombuffer(memory, np.uint8).reshape(SPEC.shape)
    clip = load_clip(numbered_video(48), SPEC, out=out)
    assert np.shares_memory(clip.frames, out)
    assert [frame_number(picture) for picture in np.frombuffer(memory, np.uint8).reshape(SPEC.shape)] == [6, 18, 30, 42]


def test_memory_of_the_caller_gets_the_same_frames_as_new_memory() -> None:
    out = np.full(SPEC.shape, 255, np.uint8)
    load_clip(grainy("h264-open-gop"), SPEC, out=out)
    assert np.array_equal(out, load_clip(grainy("h264-open-gop"), SPEC).frames)


def test_two_clips_never_share_memory() -> None:
    first, second = (load_clip(numbered_video(), SPEC).frames for _ in range(2))
    assert not np.shares_memory(first, second)


def test_a_refused_video_is_refused_with_memory_of_the_caller_too() -> None:
    with pytest.raises(DecodeFailed):
        load_clip(truncated(grainy("h264-pyramid-mkv"), 0.4), SPEC, out=np.empty(SPEC.shape, np.uint8))
