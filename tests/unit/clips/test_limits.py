"""Each limit has its effect, and so has each option that is given to FFmpeg, which ignores a misspelt one in silence."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import pytest
from pydantic import ValidationError

from clips import (
    ClipError,
    ClipSpec,
    DecodeFailed,
    DecodeLimits,
    DimensionsOutOfRange,
    DurationOutOfRange,
    NotAVideo,
    TooFewFrames,
    UnsupportedContainer,
    container,
    load_clip,
)
from clips.container import open_container, read_packets, video_stream
from tests.encodings import grainy, with_damaged_frame
from tests.videos import H264_MKV, MPEG2_TS, encode, growing_video, numbered_video, solid_picture, truncated

SPEC = ClipSpec(num_frames=4, height=32, width=32)
MANY_STREAMS = 40


def many_streams(form: str = "mp4") -> bytes:
    """A video stream, and many more that hold a frame each."""
    file = io.BytesIO()
    with av.open(file, "w", format=form) as target:
        streams = [target.add_stream("mjpeg", rate=25) for _ in range(MANY_STREAMS)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 32, 32, "yuvj420p"
        frame = av.VideoFrame.from_ndarray(solid_picture((255, 0, 0), 32, 32), format="rgb24")
        for pts in range(4):
            for stream in streams if pts == 0 else streams[:1]:
                frame.pts = pts
                target.mux(stream.encode(frame))
    return file.getvalue()


def a_long_pause() -> bytes:
    return numbered_video(4, encoding=H264_MKV, times=[0, 1, 2, 3000])


def cut_short() -> bytes:
    return truncated(numbered_video(48, encoding=H264_MKV), 0.8)


Case = tuple[Callable[[], bytes], object, object, type[ClipError]]
CASES: dict[str, Case] = {
    # the video, a value that admits it, one that does not, and why not
    "max_pixels": (numbered_video, 64 * 48, 64 * 48 - 1, DimensionsOutOfRange),
    "max_aspect_ratio": (numbered_video, 1.4, 1.2, DimensionsOutOfRange),
    "max_duration_seconds": (a_long_pause, 121.0, 119.0, DurationOutOfRange),
    "max_packets": (numbered_video, 48, 47, DurationOutOfRange),
    "max_streams": (many_streams, MANY_STREAMS, MANY_STREAMS - 1, ClipError),
    "max_decoded_frames": (lambda: grainy("h264-plain", keyframe_interval=250), 36, 35, DurationOutOfRange),
    "min_frames": (numbered_video, 48, 49, TooFewFrames),
    "max_damaged_fraction": (lambda: with_damaged_frame(3), 0.1, 0.0, DecodeFailed),
    "max_missing_fraction": (cut_short, 0.5, 0.01, DecodeFailed),
    "containers": (numbered_video, ("avi", "mov"), ("avi", "matroska"), UnsupportedContainer),
    "codecs": (numbered_video, ("vp9", "h264"), ("vp9", "hevc"), DecodeFailed),
}


@pytest.mark.parametrize("name", DecodeLimits.model_fields)
def test_each_limit_has_its_effect(name: str) -> None:
    make, admits, refuses, error = CASES[name]
    video = make()
    assert load_clip(video, SPEC, DecodeLimits.model_validate({name: admits})).video.frame_count > 0
    with pytest.raises(error):
        load_clip(video, SPEC, DecodeLimits.model_validate({name: refuses}))


@pytest.mark.parametrize("form", ["mp4", "matroska"])
def test_more_streams_than_allowed_are_named_as_the_reason(form: str) -> None:
    video = many_streams(form)
    assert load_clip(video, SPEC, DecodeLimits(max_streams=MANY_STREAMS)).video.frame_count == 4
    with pytest.raises(ClipError, match="more than 39 streams"):
        load_clip(video, SPEC, DecodeLimits(max_streams=MANY_STREAMS - 1))


def test_an_index_that_yields_more_bytes_than_allowed_is_refused() -> None:
    limits = DecodeLimits()
    with open_container(io.BytesIO(numbered_video()), limits) as opened:
        stream = video_stream(opened, limits)
        with pytest.raises(DecodeFailed, match="again and again"):
            read_packets(opened, stream, limits, max_bytes=100)


def test_the_size_is_checked_again_where_it_changes_in_the_middle() -> None:
    assert load_clip(growing_video(), SPEC, DecodeLimits(max_pixels=128 * 96)).video.frame_count == 40
    with pytest.raises((DimensionsOutOfRange, DecodeFailed)):
        load_clip(growing_video(), SPEC, DecodeLimits(max_pixels=64 * 48))


def test_frames_above_the_pixel_limit_never_come_out_of_the_decoder() -> None:
    assert widths_decoded(DecodeLimits(max_pixels=128 * 96)) == {64, 128}
    assert widths_decoded(DecodeLimits(max_pixels=64 * 48)) == {64}


def widths_decoded(limits: DecodeLimits) -> set[int]:
    with open_container(io.BytesIO(growing_video()), limits) as opened:
        stream = video_stream(opened, limits)
        widths = set()
        for packet in read_packets(opened, stream, limits, max_bytes=1 << 20):
            try:
                widths |= {frame.width for frame in stream.codec_context.decode(packet)}
            except av.error.InvalidDataError:
                break
    return widths


def test_frames_above_the_pixel_limit_are_not_even_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    video = numbered_video(encoding=MPEG2_TS)  # no size in its container
    with open_container(io.BytesIO(video), DecodeLimits()) as opened:
        assert opened.streams.video[0].codec_context.width == 64
    monkeypatch.setattr(container, "_PROBE_PIXELS", 1)
    with open_container(io.BytesIO(video), DecodeLimits(max_pixels=64 * 48 - 1)) as opened:
        assert opened.streams.video[0].codec_context.width == 0


def test_a_refusal_names_what_is_accepted() -> None:
    with pytest.raises(UnsupportedContainer, match=r"send one of MKV, WebM, AVI\."):
        load_clip(numbered_video(), SPEC, DecodeLimits(containers=("matroska", "avi")))
    with pytest.raises(DecodeFailed, match=r"send one of VP9, AV1\."):
        load_clip(numbered_video(), SPEC, DecodeLimits(codecs=("vp9", "av1")))
    with pytest.raises(DecodeFailed, match=r"send one of theora\."):
        load_clip(numbered_video(), SPEC, DecodeLimits(codecs=("theora",)))


@pytest.mark.parametrize("limits", [{"containers": ["hls"]}, {"containers": []}, {"codecs": ["gif"]}, {"codecs": ["png"]}])
def test_nothing_can_be_put_on_the_lists(limits: dict[str, list[str]]) -> None:
    with pytest.raises(ValidationError):
        DecodeLimits.model_validate(limits)


def test_av1_is_decoded_by_whichever_decoder_there_is() -> None:
    video = grainy("av1-pyramid")
    assert load_clip(video, SPEC, DecodeLimits(codecs=("av1",))).video.codec in {"libdav1d", "av1"}
    with pytest.raises(DecodeFailed):
        load_clip(video, SPEC, DecodeLimits(codecs=("h264",)))


def test_no_other_file_is_opened_even_by_a_format_that_could(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret.ts").write_bytes(numbered_video(encoding=MPEG2_TS))
    monkeypatch.chdir(tmp_path)
    limits = DecodeLimits.model_construct(containers=("concat", "mpegts"))  # past the check of the list
    script = b"ffconcat version 1.0\nfile 'secret.ts'\n"
    with av.open(io.BytesIO(script), options={"format_whitelist": "concat,mpegts"}) as unprotected:
        assert unprotected.streams.video, "without the list of protocols the script does lead to the other file"
    with pytest.raises((UnsupportedContainer, NotAVideo)):
        load_clip(script, SPEC, limits)


class SaysYes(tuple[str, ...]):
    """A list that FFmpeg sees and that is passed by everyone else."""

    def __contains__(self, name: object) -> bool:
        return True


def test_codecs_outside_the_list_are_refused_by_ffmpeg_too(monkeypatch: pytest.MonkeyPatch) -> None:
    video = numbered_video()
    monkeypatch.setattr(DecodeLimits, "decoders", SaysYes(("vp9",)))
    with pytest.raises(ClipError) as refusal:
        load_clip(video, SPEC)
    assert "codec is not accepted" not in str(refusal.value)
    monkeypatch.setattr(DecodeLimits, "decoders", SaysYes(("h264",)))
    assert load_clip(video, SPEC).video.codec == "h264"


TASKS = Path("/proc/self/task")


@pytest.mark.skipif(not TASKS.is_dir(), reason="threads are counted where Linux shows them")
def test_no_thread_is_started() -> None:
    before = len(list(TASKS.iterdir()))
    assert threads_while_decoding(thread_count=4) > before
    assert threads_while_decoding(thread_count=None) <= before


def threads_while_decoding(thread_count: int | None) -> int:
    limits = DecodeLimits()
    with open_container(io.BytesIO(numbered_video()), limits) as opened:
        stream = video_stream(opened, limits)
        if thread_count is not None:
            stream.codec_context.thread_count = thread_count
        for packet in read_packets(opened, stream, limits, max_bytes=1 << 20):
            stream.codec_context.decode(packet)
        return len(list(TASKS.iterdir()))


def test_a_strip_is_refused_before_it_is_scaled() -> None:
    strip = encode([solid_picture((255, 0, 0), 1024, 16)] * 2, replace(H264_MKV, codec="mpeg4"))
    with pytest.raises(DimensionsOutOfRange, match="sides"):
        load_clip(strip, SPEC)
