"""Which coded frames an AV1 frame is predicted from. Its header says so, a few bits that are read here; nothing is decoded.

Each frame names the slots that it is stored in (``refresh_frame_flags``) and those it is predicted from (``ref_frame_idx``);
probabilities, motion vectors and film grain come from the same slots. So it needs the frames in them and no others.
"""

from collections.abc import Iterable

from clips.av1_headers import (
    ALL_SLOTS,
    FRAME,
    FRAME_HEADER,
    SEQUENCE_HEADER,
    SLOTS,
    FrameHeader,
    Sequence,
    UnknownLayout,
    frame_header,
    sequence_header,
    units,
)
from clips.references import MOST_UNITS, Budget

_AV1C_BYTES = 4


def references(extradata: bytes, packets: Iterable[memoryview]) -> list[tuple[int, ...]]:
    """For each packet (temporal unit), the earlier packets that hold the frames it is predicted from; none for a keyframe.

    ``extradata`` is the container's av1C record. Raises: UnknownLayout, TooManyUnits.
    """
    budget = Budget(MOST_UNITS)
    slots = _Slots(budget)
    for kind, payload in units(memoryview(extradata)[_AV1C_BYTES:]):
        budget.spend()
        if kind == SEQUENCE_HEADER:
            slots.sequence = sequence_header(payload)
    return [slots.pass_packet(number, packet) for number, packet in enumerate(packets)]


class _Slots:
    """The eight reference slots while the packets of a stream pass by: which packet holds the frame in each."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.sequence: Sequence | None = None
        self._start: int | None = None
        """The latest packet with a sequence header, which comes with a keyframe."""
        self._packet: list[int | None] = [None] * SLOTS
        self._is_key = [False] * SLOTS

    def pass_packet(self, number: int, packet: memoryview) -> tuple[int, ...]:
        """The packets that packet ``number`` needs."""
        needed: set[int] = set()
        for kind, payload in units(packet):
            self._budget.spend()
            if kind == SEQUENCE_HEADER:
                self.sequence = sequence_header(payload)
                self._start = number
            elif kind in (FRAME_HEADER, FRAME):
                if self.sequence is None:
                    raise UnknownLayout("a frame comes before the sequence header")
                needed |= self._pass_frame(number, frame_header(payload, self.sequence))
        return tuple(sorted(needed - {number}))

    def _pass_frame(self, number: int, header: FrameHeader) -> set[int]:
        if header.shown_slot is not None:
            needed = {self._held_in(header.shown_slot)}
            if self._is_key[header.shown_slot]:  # a keyframe that is shown late starts the stream anew
                self._store(number, ALL_SLOTS, is_key=True)
            return needed
        needed = {self._held_in(slot) for slot in header.predicted_from}
        if not needed and self._start is not None:  # a frame that needs no other still needs the sequence header
            needed = {self._start}
        self._store(number, header.stored_in, header.is_key)
        return needed

    def _held_in(self, slot: int) -> int:
        packet = self._packet[slot]
        if packet is None:
            raise UnknownLayout("a frame is predicted from one that is not there")
        return packet

    def _store(self, number: int, slots: int, is_key: bool) -> None:
        for slot in range(SLOTS):
            if slots >> slot & 1:
                self._packet[slot], self._is_key[slot] = number, is_key
