"""The references that AV1's headers name are those that a decoder needs, and what cannot be read is said to be so."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clips import ClipSpec, av1, load_clip
from clips.av1_headers import UnknownLayout
from clips.plan import plan_decoding
from clips.references import TooManyUnits
from tests.encodings import AV1, ENCODINGS, grainy
from tests.front_to_back import front_to_back
from tests.unit.clips.coded_video import coded_video
from tests.videos import grainy_video, remuxed

SPEC = ClipSpec(num_frames=5, height=48, width=64)


def taken_apart(name: str) -> tuple[bytes, list[bytes]]:
    """The av1C record and the packets."""
    with coded_video(grainy(name)) as video:
        return bytes(video.context.extradata or b""), [bytes(packet) for packet in video.packets]


def named(extradata: bytes, packets: list[bytes]) -> list[tuple[int, ...]]:
    return av1.references(extradata, [memoryview(packet) for packet in packets])


@pytest.mark.parametrize("name", sorted(AV1))
def test_a_keyframe_needs_nothing_and_every_other_frame_something_earlier(name: str) -> None:
    references = named(*taken_apart(name))
    assert len(references) == 40
    assert references[0] == ()
    assert all(0 <= earlier < number for number, needed in enumerate(references) for earlier in needed)


def test_a_pyramid_leaves_out_the_branches_that_are_not_wanted() -> None:
    with coded_video(grainy("av1-pyramid")) as video:
        assert plan_decoding(video.frames, [8]).drawing()[:12] == "++......*..."
        assert video.drawing()[:13].count("b") >= 6


def test_an_intra_frame_that_is_no_keyframe_is_no_place_to_start() -> None:
    with coded_video(grainy("av1-open-gop", keyframe_interval=3)) as video:
        assert video.drawing().count("K") == 1
        assert len(video.decode(plan_decoding(video.frames, [30]).stretches[0])) >= 1


def test_deep_pyramids_of_slow_presets_are_followed() -> None:
    options = (("preset", "8"), ("svtav1-params", "lp=1:hierarchical-levels=4"))
    with coded_video(grainy_video(34, replace(ENCODINGS["av1-pyramid"], options=options, keyframe_interval=250))) as video:
        all_pictures = video.decode()
        costs = []
        for number in range(34):
            plan = plan_decoding(video.frames, [number])
            costs.append(plan.cost)
            assert np.array_equal(video.decode(plan.stretches[0])[number], all_pictures[number])
    assert max(costs) < 12


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (b"\x32\x01", "breaks off"),  # a frame of one byte that is not there
        (b"\x32\x80", "breaks off"),  # a size that goes on and does not
        (b"\x36\x08\x01\x00", "spatial layers"),
        (b"\x34", "spatial layers"),
    ],
    ids=["no-payload", "no-size", "layer", "no-extension"],
)
def test_what_is_not_followed_is_named(packet: bytes, why: str) -> None:
    extradata, _ = taken_apart("av1-pyramid")
    with pytest.raises(UnknownLayout, match=why):
        named(extradata, [packet])


def test_a_frame_before_any_sequence_header_is_not_followed() -> None:
    packets = taken_apart("av1-pyramid")[1]
    with pytest.raises(UnknownLayout, match="before the sequence header"):
        named(b"", packets[1:])


def test_a_frame_whose_reference_is_not_there_is_not_followed() -> None:
    extradata, packets = taken_apart("av1-pyramid")
    with pytest.raises(UnknownLayout, match="not there"):
        named(extradata, packets[1:])


def test_a_stream_of_more_units_than_any_encoder_makes_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    extradata, packets = taken_apart("av1-pyramid")
    padded = [b"\x7a\x00" * 50 + packet for packet in packets]  # padding without a byte of it
    assert named(extradata, padded) == named(extradata, packets)
    monkeypatch.setattr(av1, "MOST_UNITS", 1000)
    with pytest.raises(TooManyUnits):
        named(extradata, padded)
    with pytest.raises(TooManyUnits):
        named(extradata + b"\x7a\x00" * 1001, packets)


INTACT = taken_apart("av1-pyramid")


@settings(max_examples=200)
@given(st.integers(0, 39), st.integers(0, 40), st.binary(min_size=1, max_size=6))
def test_headers_that_are_broken_anyhow_give_references_to_earlier_frames_or_are_refused(
    number: int, place: int, noise: bytes
) -> None:
    extradata, packets = INTACT
    packet = packets[number]
    broken = [*packets[:number], packet[:place] + noise + packet[place + len(noise) :], *packets[number + 1 :]]
    try:
        references = named(extradata, broken)
    except UnknownLayout:
        return
    assert len(references) == 40
    assert all(0 <= earlier < n for n, needed in enumerate(references) for earlier in needed)


def test_a_stream_that_cannot_be_followed_is_decoded_all_the_same() -> None:
    headless = remuxed(grainy("av1-pyramid"), "matroska", lambda packets: [b""] * 10 + packets[10:])
    with coded_video(headless) as video:
        assert video.drawing()[:6] == "KPKPPP"  # from keyframe to keyframe, as where headers name no references
    assert np.array_equal(load_clip(headless, SPEC).frames, front_to_back(headless, SPEC))


def unit(kind: int, bits: str) -> bytes:
    """An open bitstream unit of this kind whose payload begins with these bits."""
    bits = bits.replace(" ", "").ljust(96, "0")
    payload = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return bytes([kind << 3 | 2, len(payload)]) + payload


FRAME_HEADER, FRAME = 3, 6
ORDER_HINT = "0000001"
SHOWN_KEYFRAME = unit(FRAME, f"0 00 1  0 0 0 {ORDER_HINT}")
"""show_existing_frame, frame_type, show_frame; disable_cdf_update, allow_screen_content_tools, frame_size_override_flag"""
HIDDEN_KEYFRAME = unit(FRAME, f"0 00 0 1  1 0 0 0 {ORDER_HINT} 00000001")
"""As above with showable_frame and error_resilient_mode; refresh_frame_flags: stored in slot 0 alone"""
SHOW_SLOT_0 = unit(FRAME_HEADER, "1 000")
FROM_SLOT_5 = unit(FRAME, f"0 01 1  0 0 0 0 {ORDER_HINT} 000  00000000  0" + "101" * 7)
"""error_resilient_mode, three as above, primary_ref_frame; stored nowhere; frame_refs_short_signaling, ref_frame_idx"""
SHORT_SIGNALING = unit(FRAME, f"0 01 1  0 0 0 0 {ORDER_HINT} 000  00000000  1")


def test_a_frame_needs_the_packet_that_filled_its_slot() -> None:
    assert named(INTACT[0], [SHOWN_KEYFRAME, HIDDEN_KEYFRAME, FROM_SLOT_5]) == [(), (), (0,)]


def test_a_keyframe_that_is_shown_late_fills_every_slot() -> None:
    assert named(INTACT[0], [SHOWN_KEYFRAME, HIDDEN_KEYFRAME, SHOW_SLOT_0, FROM_SLOT_5]) == [(), (), (1,), (2,)]


def test_a_frame_that_names_its_references_in_short_needs_all_slots() -> None:
    assert named(INTACT[0], [SHOWN_KEYFRAME, HIDDEN_KEYFRAME, SHORT_SIGNALING]) == [(), (), (0, 1)]


def test_a_repeated_frame_needs_the_packet_that_brought_it() -> None:
    assert named(INTACT[0], [SHOWN_KEYFRAME, FROM_SLOT_5, SHOW_SLOT_0]) == [(), (0,), (0,)]
