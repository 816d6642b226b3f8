"""From bytes to clip, on real small videos whose brightness is the number of the frame."""

import io
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from clips import (
    ClipSpec,
    DecodeFailed,
    DimensionsOutOfRange,
    NotAVideo,
    NoVideoStream,
    TooFewFrames,
    UnsupportedContainer,
    load_clip,
)
from tests.videos import (
    GOOD_VIDEOS,
    H264_MP4,
    MPEG2_TS,
    MPEG4_AVI,
    RED,
    VP9_WEBM,
    Encoding,
    anamorphic_video,
    audio_only,
    damaged,
    encode,
    frame_number,
    large_video,
    numbered_video,
    one_frame_video,
    rotated,
    solid_picture,
    solid_video,
    truncated,
    variable_rate_video,
)

SPEC = ClipSpec(num_frames=4, height=32, width=32)


def numbers(video: bytes, spec: ClipSpec = SPEC) -> list[int]:
    return [frame_number(picture) for picture in load_clip(video, spec).frames]


@pytest.mark.parametrize("encoding", [H264_MP4, MPEG4_AVI, VP9_WEBM, MPEG2_TS], ids=lambda e: e.container)
def test_the_middles_of_the_segments_are_taken(encoding: Encoding) -> None:
    # 48 frames in 4 segments of 12: the frame on screen at 6, 18, 30 and 42 frame intervals
    assert numbers(numbered_video(48, encoding=encoding)) == pytest.approx([6, 18, 30, 42], abs=1)  # lossy by a step


def test_a_variable_frame_rate_is_sampled_by_time_not_by_index() -> None:
    # on screen from 0, 1, 2, 3, 4, 5 and from 6, 16, 26, 36, 46, 56 intervals; middles of quarters: about 7, 21, 35, 49
    assert numbers(variable_rate_video(12)) == [6, 7, 8, 10]


def test_more_frames_than_the_video_has_repeats_frames() -> None:
    assert numbers(numbered_video(2), ClipSpec(num_frames=4, height=32, width=32)) == [0, 0, 1, 1]


@pytest.mark.parametrize("turns", [0, 1])
def test_a_clip_is_contiguous_uint8_of_the_shape_of_its_spec(turns: int) -> None:
    frames = load_clip(rotated(numbered_video(), turns), SPEC).frames
    assert (frames.shape, frames.dtype, frames.flags.c_contiguous) == (SPEC.shape, np.uint8, True)


def test_facts_come_from_the_frames() -> None:
    video = load_clip(numbered_video(48), SPEC).video
    assert (video.codec, video.width, video.height, video.frame_count) == ("h264", 64, 48, 48)
    assert video.duration_seconds == pytest.approx(48 / 25)


def test_frame_times_are_counted_from_the_first_frame() -> None:
    times = load_clip(numbered_video(48, encoding=MPEG2_TS), SPEC).frame_times_seconds
    assert times == pytest.approx([6 / 25, 18 / 25, 30 / 25, 42 / 25])


@pytest.mark.parametrize("name", GOOD_VIDEOS)
def test_every_good_video_gives_its_colour(name: str) -> None:
    frames = load_clip(GOOD_VIDEOS[name](), SPEC).frames
    assert np.allclose(frames.reshape(-1, 3).mean(0), RED, atol=12)


def test_same_bytes_same_spec_same_clip(tmp_path: Path) -> None:
    video = numbered_video()
    path = tmp_path / "a.m3u8"
    path.write_bytes(video)
    assert np.array_equal(load_clip(video, SPEC).frames, load_clip(path, SPEC).frames)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_rotation_is_undone_as_a_player_would(turns: int) -> None:
    left_red = np.concatenate([solid_picture(RED, 32, 32), solid_picture((0, 0, 255), 32, 32)], axis=1)
    shown = np.rot90(left_red, -turns)  # the display matrix turns clockwise
    clip = load_clip(rotated(encode([left_red] * 4), turns), ClipSpec(num_frames=1, height=32, width=32, fit="stretch"))
    expected = np.array(shown[:: max(1, shown.shape[0] // 32), :: max(1, shown.shape[1] // 32)])
    assert np.abs(clip.frames[0].astype(int) - expected).mean() < 16


def test_a_turned_video_swaps_its_sides() -> None:
    video = load_clip(rotated(solid_video(RED, width=64, height=48), 1), SPEC).video
    assert (video.width, video.height) == (48, 64)


def test_pixel_aspect_widens_the_picture() -> None:
    video = load_clip(anamorphic_video(Fraction(2)), SPEC).video
    assert (video.width, video.height) == (128, 48)


def test_cropping_keeps_the_middle_and_stretching_keeps_everything() -> None:
    bars = np.concatenate([solid_picture(RED, 16, 32), solid_picture((0, 255, 0), 32, 32), solid_picture(RED, 16, 32)], axis=1)
    video = encode([bars] * 4, replace(H264_MP4, pixel_format="yuv444p"))
    crop = load_clip(video, ClipSpec(num_frames=1, height=32, width=32, fit="crop")).frames[0]
    stretch = load_clip(video, ClipSpec(num_frames=1, height=32, width=32, fit="stretch")).frames[0]
    assert crop[:, 2, 1].mean() > 200
    assert stretch[:, 2, 1].mean() < 60


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", NotAVideo),
        (b"hello, I am a text", NotAVideo),
        (bytes(100_000), NotAVideo),
        (audio_only(), NoVideoStream),
        (one_frame_video(), TooFewFrames),
        (large_video(), DimensionsOutOfRange),
        (damaged(numbered_video()), DecodeFailed),
        (encode([solid_picture(RED, 1024, 16)] * 2, replace(H264_MP4, codec="mpeg4")), DimensionsOutOfRange),
    ],
    ids=["empty", "text", "zeros", "audio", "one-frame", "large", "damaged", "strip"],
)
def test_what_is_not_a_usable_video_is_named(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        load_clip(data, SPEC)


def test_a_truncated_video_is_used_as_far_as_it_goes_or_refused() -> None:
    stream = numbered_video(48, encoding=MPEG2_TS)
    whole, half = load_clip(stream, SPEC).video, load_clip(truncated(stream), SPEC).video
    assert half.frame_count < whole.frame_count
    with pytest.raises(NotAVideo):
        load_clip(truncated(numbered_video()), SPEC)  # an MP4 whose index was at the end


@pytest.mark.parametrize("suffix", ["png", "gif", "jpg", "webp"])
def test_a_picture_file_is_not_a_video(suffix: str) -> None:
    file = io.BytesIO()
    Image.fromarray(solid_picture(RED)).save(file, suffix.replace("jpg", "jpeg"))
    with pytest.raises((UnsupportedContainer, NotAVideo)):
        load_clip(file.getvalue(), SPEC)


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n%s\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize("kind", ["hls", "ffconcat"])
def test_a_playlist_opens_no_other_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    (tmp_path / "secret.ts").write_bytes(numbered_video(encoding=MPEG2_TS))
    monkeypatch.chdir(tmp_path)
    script = PLAYLIST % b"secret.ts" if kind == "hls" else b"ffconcat version 1.0\nfile 'secret.ts'\n"
    path = tmp_path / "a.m3u8"
    path.write_bytes(script)
    with av.open(str(path), format="concat" if kind == "ffconcat" else None) as unprotected:
        assert unprotected.streams.video, "without protection the script does lead to the other file"
    for source in (script, path):
        with pytest.raises((UnsupportedContainer, NotAVideo)):
            load_clip(source, SPEC)
