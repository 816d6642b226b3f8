"""What is read from coded frames agrees with what their encoder did and what a decoder does with them."""

import numpy as np
import pytest

from clips.references import is_packed, unreferenced
from tests.encodings import H264, HEVC, MPEG, grainy
from tests.front_to_back import picture_types
from tests.unit.clips.coded_video import coded_video

TYPED = sorted(H264 | HEVC | MPEG)


@pytest.mark.parametrize(
    ("name", "drawing"),
    [
        ("h264-plain", "KPPPPPPPPPPPKPPP"),
        ("h264-pyramid", "KPPbbPPbbPPbKPPb"),
        ("h264-start-codes", "KPPbbPPbbPPbKPPb"),
        ("h264-slices", "KPPbbPPbbPPbKPPb"),
        ("h264-open-gop", "KPPbbPPbbKPbbPPb"),
        ("hevc-pyramid", "KPPbbbPPbbbKbPPb"),
        ("hevc-start-codes", "KPPbbbPPbbbKbPPb"),
        ("mpeg4-avi", "KPbbPbbPbbKbbPbb"),
        ("mpeg2-ts", "KPbbPbbPbbKbbPbb"),
        ("mpeg1-ps", "KPbbPbbPbbKbbPbb"),
    ],
)
def test_keyframes_references_and_others_are_told_apart(name: str, drawing: str) -> None:
    with coded_video(grainy(name)) as video:
        assert video.drawing()[:16] == drawing


@pytest.mark.parametrize("name", TYPED)
def test_leaving_out_what_nothing_refers_to_changes_no_other_picture(name: str) -> None:
    with coded_video(grainy(name)) as video:
        all_pictures = video.decode()
        referred = [number for number, frame in enumerate(video.frames) if frame.is_referred_to]
        without = video.decode(referred)
    assert len(all_pictures) == 40
    assert sorted(without) == referred
    assert all(np.array_equal(picture, all_pictures[number]) for number, picture in without.items())


@pytest.mark.parametrize("name", TYPED)
def test_what_nothing_refers_to_is_a_b_picture_and_in_mpeg_every_b_picture_is_so(name: str) -> None:
    types = picture_types(grainy(name))
    with coded_video(grainy(name)) as video:
        spare = video.drawing().count("b")
    assert spare == types.count("B") if name in MPEG else spare <= types.count("B")
    assert spare > 0 or "B" not in types


@pytest.mark.parametrize("codec", ["h264", "hevc", "mpeg4", "mpeg2video", "vp9", "unheard-of"])
@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\1", b"\0\0\0\1", b"\xff" * 64, b"\0\0\1\x46\x01"], ids=bytes.hex)
def test_what_does_not_follow_the_rules_counts_as_referred_to(codec: str, data: bytes) -> None:
    assert unreferenced(codec, b"", [memoryview(data)]) == [False]


H264_DISPOSABLE, H264_REFERENCE, H264_SEI = b"\x01\x9a", b"\x41\x9a", b"\x06\x05"


@pytest.mark.parametrize(
    ("nals", "spare"),
    [
        ([H264_DISPOSABLE], True),
        ([H264_SEI, H264_DISPOSABLE, H264_DISPOSABLE], True),
        ([H264_REFERENCE], False),
        ([H264_DISPOSABLE, H264_REFERENCE], False),  # two fields, of which the second predicts others
        ([H264_SEI], False),
    ],
)
@pytest.mark.parametrize("length_size", [None, 1, 2, 4])
def test_an_h264_frame_is_spare_when_all_its_slices_are(nals: list[bytes], spare: bool, length_size: int | None) -> None:
    if length_size is None:
        extradata, frame = b"\0\0\0\1\x67\x42", b"".join(b"\0\0\1" + nal for nal in nals)
    else:
        extradata = bytes([1, 0x42, 0, 10, 0xFC | length_size - 1])
        frame = b"".join(len(nal).to_bytes(length_size, "big") + nal for nal in nals)
    assert unreferenced("h264", extradata, [memoryview(frame)]) == [spare]


def hevc_picture(kind: int, sub_layer: int) -> memoryview:
    return memoryview(b"\0\0\1" + bytes([kind << 1, sub_layer + 1]) + b"\xaa\xaa")


TRAIL_N, TRAIL_R, TSA_N, RASL_N, RASL_R, CRA = 0, 1, 2, 8, 9, 21


def test_an_hevc_picture_is_spare_only_in_the_highest_sub_layer() -> None:
    layers = [hevc_picture(TRAIL_R, 0), hevc_picture(TRAIL_N, 0), hevc_picture(TSA_N, 1), hevc_picture(TRAIL_R, 1)]
    assert unreferenced("hevc", b"", layers) == [False, False, True, False]
    assert unreferenced("hevc", b"", layers[:2]) == [False, True]


def test_leading_pictures_of_hevc_are_spare_where_their_type_says_so() -> None:
    pictures = [hevc_picture(CRA, 0), hevc_picture(RASL_N, 0), hevc_picture(RASL_R, 0)]
    assert unreferenced("hevc", b"", pictures) == [False, True, False]


P_VOP, B_VOP = b"\0\0\1\xb6\x50\xc0", b"\0\0\1\xb6\x90\xc0"


def test_a_packet_that_holds_two_pictures_is_packed() -> None:
    assert not is_packed("mpeg4", memoryview(P_VOP))
    assert is_packed("mpeg4", memoryview(P_VOP + B_VOP))
    assert not is_packed("h264", memoryview(P_VOP + B_VOP))


def test_a_reference_with_a_b_picture_behind_it_is_referred_to() -> None:
    assert unreferenced("mpeg4", b"", [memoryview(P_VOP + B_VOP), memoryview(B_VOP)]) == [False, True]


@pytest.mark.parametrize("extradata", [b"", b"\1\x64\0\x0d\xff"], ids=["start-codes", "lengths"])
def test_a_stream_of_endless_units_is_not_looked_through(extradata: bytes) -> None:
    """None of it counts as unreferenced, so nothing is left out."""
    unit = b"\0\0\1\x01\0" if not extradata else b"\0\0\0\2\x01\0"
    frames = [memoryview(unit * 100_000)] * 8
    assert unreferenced("h264", extradata, frames) == [False] * 8
