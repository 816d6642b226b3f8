"""Files that were cut short: how much is missing is said, and too much is refused. Whole files are whole."""

import struct
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from clips import ClipSpec, DecodeFailed, DecodeLimits, DurationOutOfRange, NotAVideo, VideoFacts, load_clip
from tests.encodings import ENCODINGS, grainy
from tests.front_to_back import front_to_back
from tests.videos import RED, Encoding, grainy_video, remuxed, rotated, solid_video, truncated, with_index_in_front

SPEC = ClipSpec(num_frames=4, height=48, width=64)
NUM_FRAMES = 100
NUM_GRAINY = 40

FRAGMENTED = Encoding(options=(("movflags", "frag_keyframe+empty_moov"),))
LIVE_WEBM = Encoding("webm", "libvpx", options=(("live", "1"),))


def large(encoding: Encoding) -> bytes:
    """Large enough that its frames, not its headers, are what is cut off."""
    return grainy_video(NUM_FRAMES, encoding, width=96, height=72)


ANNOUNCED: dict[str, Callable[[], bytes]] = {
    "mp4": lambda: with_index_in_front(large(Encoding("mp4"))),
    "mov": lambda: with_index_in_front(large(Encoding("mov"))),
    "avi": lambda: large(ENCODINGS["mpeg4-avi"]),
    "mkv": lambda: large(Encoding("matroska")),
    "webm": lambda: large(Encoding("webm", "libvpx")),
}
"""Files that say how much they should hold."""
SILENT: dict[str, Callable[[], bytes]] = {
    "live webm": lambda: large(LIVE_WEBM),
    "ts": lambda: large(ENCODINGS["mpeg2-ts"]),
    "ps": lambda: large(ENCODINGS["mpeg2-ps"]),
    "flv": lambda: large(ENCODINGS["flv"]),
    "asf": lambda: large(ENCODINGS["wmv2-asf"]),
}
"""Files that do not."""
OTHERS: dict[str, Callable[[], bytes]] = {
    "mp4 with its index at the end": lambda: large(Encoding("mp4")),
    "fragmented mp4": lambda: large(FRAGMENTED),
    "turned": lambda: rotated(large(Encoding("mp4")), 1),
}


@cache
def video(name: str) -> bytes:
    return (ANNOUNCED | SILENT | OTHERS)[name]()


def facts(data: bytes, limits: DecodeLimits | None = None) -> VideoFacts:
    return load_clip(data, SPEC, limits).video


@pytest.mark.parametrize("name", ANNOUNCED | SILENT | OTHERS)
def test_a_whole_file_is_whole(name: str) -> None:
    whole = facts(video(name))
    assert (whole.frame_count, whole.partial, whole.missing_fraction) == (NUM_FRAMES, False, 0.0)


@pytest.mark.parametrize("name", ANNOUNCED | SILENT | OTHERS)
def test_a_whole_file_with_something_behind_it_is_whole(name: str) -> None:
    longer = facts(video(name) + bytes(range(256)) * 40)
    assert (longer.frame_count, longer.partial, longer.missing_fraction) == (NUM_FRAMES, False, 0.0)


@pytest.mark.parametrize("keep", [0.95, 0.9, 0.6])
@pytest.mark.parametrize("name", ANNOUNCED)
def test_a_file_that_was_cut_short_is_partial_and_says_how_much_is_missing(name: str, keep: float) -> None:
    cut = facts(truncated(video(name), keep))
    assert cut.partial
    assert cut.frame_count < NUM_FRAMES
    assert cut.missing_fraction == pytest.approx(1 - cut.frame_count / NUM_FRAMES, abs=0.02)
    assert cut.missing_fraction == pytest.approx(1 - keep, abs=0.12)  # bytes are not spread evenly over frames


@pytest.mark.parametrize("name", ANNOUNCED)
def test_a_file_that_lacks_more_than_half_is_refused(name: str) -> None:
    with pytest.raises(DecodeFailed, match="cut short"):
        load_clip(truncated(video(name), 0.3), SPEC)


@pytest.mark.parametrize("name", ANNOUNCED)
def test_how_much_may_be_missing_is_a_limit(name: str) -> None:
    cut = truncated(video(name), 0.6)
    with pytest.raises(DecodeFailed, match="cut short"):
        load_clip(cut, SPEC, DecodeLimits(max_missing_fraction=0.2))
    most_of_it_missing = truncated(video(name), 0.35)
    assert facts(most_of_it_missing, DecodeLimits(max_missing_fraction=0.9)).missing_fraction > 0.5


@pytest.mark.parametrize("keep", [0.9, 0.6, 0.3])
@pytest.mark.parametrize("name", SILENT)
def test_a_stream_that_announces_nothing_is_taken_as_far_as_it_goes(name: str, keep: float) -> None:
    cut = facts(truncated(video(name), keep))
    assert 0.7 * keep * NUM_FRAMES < cut.frame_count
    assert (cut.partial, cut.missing_fraction) == (False, 0.0)


def test_a_fragmented_mp4_announces_a_fragment_at_a_time() -> None:
    cut = facts(truncated(video("fragmented mp4"), 0.95))
    assert cut.partial
    assert 0 < cut.missing_fraction < 0.12  # of the last fragment of 12 frames


def test_an_mp4_that_was_cut_before_its_index_is_no_video() -> None:
    with pytest.raises(NotAVideo):
        load_clip(truncated(video("mp4 with its index at the end"), 0.9), SPEC)


def with_junk(*numbers: int) -> bytes:
    """VP9 of 40 frames, a keyframe every third; these hold nothing that a decoder understands."""

    def spoil(packets: list[bytes]) -> list[bytes]:
        return [b"\xff" * len(packet) if number in numbers else packet for number, packet in enumerate(packets)]

    return remuxed(grainy("vp9", keyframe_interval=3), "webm", spoil)


def test_damaged_frames_count_as_missing() -> None:
    partial = facts(with_junk(5, 15, 25))
    assert (partial.partial, partial.missing_fraction) == (True, 3 / NUM_GRAINY)


def test_pictures_of_a_damaged_video_are_those_that_a_player_shows() -> None:
    video = with_junk(4, 5, 14)
    assert np.array_equal(load_clip(video, SPEC).frames, front_to_back(video, SPEC))


def test_more_than_a_tenth_damaged_is_refused() -> None:
    with pytest.raises(DecodeFailed, match=r"\d+ of \d+ coded frames are damaged"):
        load_clip(with_junk(5, 8, 15, 17, 25, 26), SPEC)


def test_how_much_may_be_damaged_is_a_limit() -> None:
    video = with_junk(5, 8, 15, 17, 25, 26)
    assert facts(video, DecodeLimits(max_damaged_fraction=0.5)).missing_fraction == 6 / NUM_GRAINY
    with pytest.raises(DecodeFailed, match="damaged"):
        load_clip(with_junk(5), SPEC, DecodeLimits(max_damaged_fraction=0))


def test_damage_that_no_wanted_frame_needs_is_never_seen() -> None:
    assert facts(with_junk(1, 7, 11)) == replace(facts(with_junk()), partial=False)


def with_broken_frame(name: str, broken: int, whole: bool) -> bytes:
    """This video with one frame, or the second half of it, overwritten."""

    def spoil(packets: list[bytes]) -> list[bytes]:
        size = len(packets[broken])
        noise = b"\xff" * size if whole else packets[broken][: size // 2] + bytes(size - size // 2)
        return [*packets[:broken], noise, *packets[broken + 1 :]]

    return remuxed(grainy(name), "matroska", spoil)


@pytest.mark.parametrize("broken", [5, 13])
@pytest.mark.parametrize("name", ["h264-plain", "h264-pyramid", "h264-open-gop", "mpeg4-mp4", "vp8", "vp9"])
def test_after_damage_nothing_is_left_out_because_decoders_mend_a_frame_from_its_neighbours(name: str, broken: int) -> None:
    video = with_broken_frame(name, broken, whole=True)
    clip = load_clip(video, SPEC)
    assert clip.video.partial
    assert np.array_equal(clip.frames, front_to_back(video, SPEC))


@pytest.mark.parametrize("name", ["h264-plain", "h264-pyramid", "h264-start-codes"])
def test_damage_that_a_decoder_conceals_is_damage(name: str) -> None:
    video = with_broken_frame(name, 13, whole=False)
    clip = load_clip(video, SPEC)
    assert clip.video.partial
    assert np.array_equal(clip.frames, front_to_back(video, SPEC))


LIES = {"mvhd": 16, "mdhd": 16, "tkhd": 20}
"""Boxes of an MP4 that hold a duration, and where: 32 bits, so many bytes behind the name."""


@pytest.mark.parametrize("lie", [0, 1, 0x7FFFFFFF, 0xFFFFFFFF])
@pytest.mark.parametrize("box", LIES)
def test_an_mp4_that_lies_about_its_duration_is_whole(box: str, lie: int) -> None:
    mp4 = video("mp4")
    at = mp4.index(box.encode()) + 4 + LIES[box]
    lying = facts(mp4[:at] + lie.to_bytes(4, "big") + mp4[at + 4 :])
    assert (lying.partial, lying.missing_fraction) == (False, 0.0)
    assert lying.duration_seconds == pytest.approx(NUM_FRAMES / 25)


@pytest.mark.parametrize("lie", [0, 1, 1000, 0x7FFFFFFF])
def test_a_whole_avi_that_lies_about_its_frames_is_whole(lie: int) -> None:
    avi = bytearray(video("avi"))
    for box, place in (("avih", 8 + 16), ("strh", 8 + 32)):
        at = avi.index(box.encode()) + place
        assert int.from_bytes(avi[at : at + 4], "little") == NUM_FRAMES
        avi[at : at + 4] = lie.to_bytes(4, "little")
    lying = facts(bytes(avi))
    assert (lying.frame_count, lying.partial, lying.missing_fraction) == (NUM_FRAMES, False, 0.0)


UNKNOWN_SIZE = b"\x01" + b"\xff" * 7


@pytest.mark.parametrize("keep", [1.0, 0.8])
def test_a_matroska_segment_of_unknown_size_announces_nothing(keep: float) -> None:
    mkv = video("mkv")
    at = mkv.index(b"\x18\x53\x80\x67") + 4
    endless = facts(truncated(mkv[:at] + UNKNOWN_SIZE + mkv[at + 8 :], keep))
    assert endless.frame_count > 0.7 * keep * NUM_FRAMES
    assert (endless.partial, endless.missing_fraction) == (False, 0.0)


def test_a_stream_that_announces_larger_frames_than_allowed_cannot_be_decoded() -> None:
    """The sequence header of this AV1 allows frames far larger than any that come."""
    options = (("preset", "12"), ("svtav1-params", "lp=1:sframe-dist=8"))
    with pytest.raises(DecodeFailed, match="No frame could be decoded"):
        load_clip(grainy_video(NUM_GRAINY, Encoding("mp4", "libsvtav1", options=options)), SPEC)


def test_an_index_of_millions_of_frames_in_a_kilobyte_is_not_read() -> None:
    """One line of the size table, of the time table and of the chunk table can stand for any number of frames."""
    video, frames = bytearray(solid_video(RED, encoding=Encoding(codec="mpeg4"))), 1_000_000
    for table, line in ((b"stsz", struct.pack(">II", 60, frames)), (b"stts", struct.pack(">II", 1, frames))):
        place = video.index(table) + 8
        video[place : place + 8] = line
    place = video.index(b"stsc") + 16
    video[place : place + 4] = struct.pack(">I", frames)
    with pytest.raises(DurationOutOfRange, match="more than 40000 frames"):
        load_clip(bytes(video), ClipSpec(num_frames=2, height=16, width=16))
