"""The headers of an AV1 stream, up to the reference slots of a frame: a few bits are read, nothing is decoded.

Source: AV1 Bitstream & Decoding Process Specification, 5.3 (OBU), 5.5 (sequence header), 5.9 (frame header).
"""

from collections.abc import Iterator
from dataclasses import dataclass

SEQUENCE_HEADER, FRAME_HEADER, FRAME = 1, 3, 6
"""Types of open bitstream units (OBU)."""
SLOTS = 8
ALL_SLOTS = 255
_KEY, _INTER, _INTRA_ONLY, _SWITCH = range(4)
_REFERENCES_PER_FRAME = 7
_SELECT = 2
_HEADER_BYTES = 96
"""More than the part of a header that is read."""


class UnknownLayout(Exception):
    """Headers that are not followed here: spatial layers, references that are missing, data that breaks off."""


@dataclass(frozen=True)
class Sequence:
    """What the layout of a frame header depends on."""

    reduced_still_picture: bool
    frame_presentation_time_bits: int
    """0 where frames carry no presentation time."""
    buffer_removal_time_bits: int
    """0 where frames carry no buffer removal times."""
    operating_points: tuple[int, ...]
    """``operating_point_idc`` of those with a decoder model."""
    frame_id_bits: int
    delta_frame_id_bits: int
    screen_content_tools: int
    integer_mv: int
    order_hint_bits: int


@dataclass(frozen=True)
class FrameHeader:
    """What a frame takes from the slots and puts there."""

    shown_slot: int | None
    """Slot that is shown once more (``show_existing_frame``); such a header holds nothing else."""
    is_key: bool
    stored_in: int
    """``refresh_frame_flags``"""
    predicted_from: frozenset[int]
    """Slots."""


def units(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Type and payload of each open bitstream unit. Raises: UnknownLayout."""
    at = 0
    while at < len(data):
        header, at = data[at], at + 1
        if header & 4:
            if at >= len(data) or data[at] >> 3 & 3:
                raise UnknownLayout("spatial layers")
            at += 1
        size = len(data) - at
        if header & 2:
            size, at = _leb128(data, at)
        yield header >> 3 & 15, data[at : at + size]
        at += size


def _leb128(data: memoryview, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, least significant first, and the place behind it."""
    value = 0
    for shift in range(0, 56, 7):
        if at >= len(data):
            break
        value |= (data[at] & 127) << shift
        at += 1
        if not data[at - 1] & 128:
            return value, at
    raise UnknownLayout("a size breaks off")


class _Bits:
    """Unsigned numbers from the most significant bit on."""

    def __init__(self, data: memoryview) -> None:
        head = data[:_HEADER_BYTES]
        self._number, self._left = int.from_bytes(head, "big"), 8 * len(head)

    def read(self, count: int) -> int:
        """The next ``count`` bits. Raises: UnknownLayout: there are fewer."""
        self._left -= count
        if self._left < 0:
            raise UnknownLayout("a header breaks off")
        return (self._number >> self._left) & ((1 << count) - 1)

    def flag(self) -> bool:
        """The next bit."""
        return self.read(1) == 1

    def skip_uvlc(self) -> None:
        """Pass over a number of variable length."""
        zeros = 0
        while not self.flag():
            zeros += 1
        self.read(min(zeros, 32))


def sequence_header(payload: memoryview) -> Sequence:
    """Read one (5.5.1). Raises: UnknownLayout."""
    bits = _Bits(payload)
    bits.read(4)  # seq_profile, still_picture
    reduced = bits.flag()
    presentation_bits = removal_bits = 0
    points: tuple[int, ...] = ()
    if reduced:
        bits.read(5)
    else:
        presentation_bits, removal_bits, points = _timing(bits)
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    bits.read(width_bits + height_bits)
    id_bits = delta_bits = 0
    if not reduced and bits.flag():
        delta_bits = bits.read(4) + 2
        id_bits = bits.read(3) + delta_bits + 1
    bits.read(3)  # 128x128 superblocks, filter intra, intra edge filter
    tools, integer_mv, hint_bits = (_SELECT, _SELECT, 0) if reduced else _tools(bits)
    return Sequence(reduced, presentation_bits, removal_bits, points, id_bits, delta_bits, tools, integer_mv, hint_bits)


def _timing(bits: _Bits) -> tuple[int, int, tuple[int, ...]]:
    """Bits of a presentation time and of a removal time (0: not sent), and the operating points with a decoder model."""
    equal_interval = model = False
    delay_bits = removal_bits = presentation_bits = 0
    if bits.flag():
        bits.read(64)
        if equal_interval := bits.flag():
            bits.skip_uvlc()
        if model := bits.flag():
            delay_bits = bits.read(5) + 1
            bits.read(32)
            removal_bits, presentation_bits = bits.read(5) + 1, bits.read(5) + 1
    has_display_delay = bits.flag()
    points = []
    for _ in range(bits.read(5) + 1):
        point = bits.read(12)
        if bits.read(5) > 7:
            bits.read(1)
        if model and bits.flag():
            bits.read(2 * delay_bits + 1)
            points.append(point)
        if has_display_delay and bits.flag():
            bits.read(4)
    return (presentation_bits if model and not equal_interval else 0), removal_bits, tuple(points)


def _tools(bits: _Bits) -> tuple[int, int, int]:
    """``seq_force_screen_content_tools``, ``seq_force_integer_mv``, bits of an order hint."""
    bits.read(4)  # interintra, masked, warped motion, dual filter
    if order_hint := bits.flag():
        bits.read(2)
    tools = _SELECT if bits.flag() else bits.read(1)
    integer_mv = _SELECT
    if tools and not bits.flag():
        integer_mv = bits.read(1)
    return tools, integer_mv, bits.read(3) + 1 if order_hint else 0


def frame_header(payload: memoryview, sequence: Sequence) -> FrameHeader:
    """Read one (5.9.2), up to the reference slots. Raises: UnknownLayout."""
    bits = _Bits(payload)
    if sequence.reduced_still_picture:
        return FrameHeader(None, True, ALL_SLOTS, frozenset())
    if bits.flag():  # show_existing_frame
        return FrameHeader(bits.read(3), False, 0, frozenset())
    kind, shown = bits.read(2), bits.flag()
    if shown:
        bits.read(sequence.frame_presentation_time_bits)
    else:
        bits.read(1)
    resilient = kind == _SWITCH or (kind == _KEY and shown) or bits.flag()
    _skip_to_primary_reference(bits, sequence, kind)
    is_intra = kind in (_KEY, _INTRA_ONLY)
    if not (is_intra or resilient):
        bits.read(3)  # primary_ref_frame: one of ref_frame_idx
    if sequence.buffer_removal_time_bits:
        _skip_removal_times(bits, sequence)
    stored_in = ALL_SLOTS if kind == _SWITCH or (kind == _KEY and shown) else bits.read(8)
    if is_intra:
        return FrameHeader(None, kind == _KEY, stored_in, frozenset())
    if resilient and sequence.order_hint_bits:
        bits.read(SLOTS * sequence.order_hint_bits)
    return FrameHeader(None, False, stored_in, _reference_slots(bits, sequence))


def _skip_to_primary_reference(bits: _Bits, sequence: Sequence, kind: int) -> None:
    bits.read(1)  # disable_cdf_update
    tools = bits.read(1) if sequence.screen_content_tools == _SELECT else sequence.screen_content_tools
    if tools and sequence.integer_mv == _SELECT:
        bits.read(1)
    bits.read(sequence.frame_id_bits)
    if kind != _SWITCH:
        bits.read(1)  # frame_size_override_flag
    bits.read(sequence.order_hint_bits)


def _skip_removal_times(bits: _Bits, sequence: Sequence) -> None:
    """Spatial and temporal layers are not told apart: a stream that has them and sends these times is refused."""
    if not bits.flag():
        return
    if any(sequence.operating_points):
        raise UnknownLayout("buffer removal times of layers")
    bits.read(sequence.buffer_removal_time_bits * len(sequence.operating_points))


def _reference_slots(bits: _Bits, sequence: Sequence) -> frozenset[int]:
    if sequence.order_hint_bits and bits.flag():  # frame_refs_short_signaling: the decoder works the other five out
        return frozenset(range(SLOTS))
    slots = set()
    for _ in range(_REFERENCES_PER_FRAME):
        slots.add(bits.read(3))
        bits.read(sequence.delta_frame_id_bits)
    return frozenset(slots)
