"""Which coded frames to decode for the frames that are wanted: a pure function over what each frame is predicted from.

    decoding order   K b b P b b P b b K b b P b b P        K keyframe, P predicted and referred to, b nothing refers to it
    wanted                     *             *
    plan             K     P   b       | K   *              two stretches: the decoder starts anew at the second keyframe

What is not in the plan is never given to the decoder, nothing is given to it twice, and it stops behind the last wanted frame.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple


class CodedFrame(NamedTuple):
    """One packet of a video stream, as far as planning goes. Its number is its place in decoding order."""

    time: int | None
    """Presentation time in ticks; None for a packet that carries none, or shows nothing."""
    needs: tuple[int, ...]
    """Numbers of the frames that it is predicted from, all lower than its own; none where decoding can start."""
    is_referred_to: bool
    """Whether other frames may be predicted from it."""


@dataclass(frozen=True)
class Plan:
    """What to decode, in order."""

    stretches: tuple[tuple[int, ...], ...]
    """Numbers of the frames to decode. Between two stretches the decoder is emptied and starts anew."""
    wanted: frozenset[int]
    """Numbers of the frames to keep; all of them are in a stretch."""
    frame_count: int
    """Coded frames in the stream."""

    @property
    def cost(self) -> int:
        """Frames to decode."""
        return sum(map(len, self.stretches))

    def marks(self) -> list[str]:
        """For each coded frame: ``*`` wanted, ``+`` decoded for others, ``.`` left out."""
        marks = ["."] * self.frame_count
        for number in (n for stretch in self.stretches for n in stretch):
            marks[number] = "*" if number in self.wanted else "+"
        return marks

    def drawing(self) -> str:
        """The marks in a row, with ``|`` before each new start."""
        marks = self.marks()
        for stretch in self.stretches[1:]:
            marks[stretch[0]] = "|" + marks[stretch[0]]
        return "".join(marks)


def plan_decoding(frames: Sequence[CodedFrame], wanted: Iterable[int]) -> Plan:
    """The fewest frames that give the ``wanted`` ones (numbers), in decoding order."""
    targets = frozenset(wanted)
    needed = sorted(_with_all_they_need(frames, targets))
    return Plan(tuple(_stretches(frames, needed)), targets, len(frames))


def _with_all_they_need(frames: Sequence[CodedFrame], wanted: Iterable[int]) -> set[int]:
    needed: set[int] = set()
    open_ends = list(wanted)
    while open_ends:
        number = open_ends.pop()
        if number not in needed:
            needed.add(number)
            open_ends.extend(frames[number].needs)
    return needed


def _stretches(frames: Sequence[CodedFrame], needed: Sequence[int]) -> Iterable[tuple[int, ...]]:
    """``needed`` cut before each frame that needs none, where no later frame reaches back across the cut.

    A cut that leaves nothing out is no cut: the decoder just goes on.
    """
    reach = _reach(frames, needed)
    start = 0
    for place in range(1, len(needed)):
        number = needed[place]
        if not frames[number].needs and reach[place] >= number and needed[place - 1] < number - 1:
            yield tuple(needed[start:place])
            start = place
    if needed:
        yield tuple(needed[start:])


def _reach(frames: Sequence[CodedFrame], needed: Sequence[int]) -> list[int]:
    """For each place in ``needed``, the lowest number that this frame or a later one needs directly, or its own."""
    reach = [min((number, *frames[number].needs)) for number in needed]
    for place in range(len(reach) - 2, -1, -1):
        reach[place] = min(reach[place], reach[place + 1])
    return reach


class NearestReferences:
    """The frames that are cheap to decode, sorted once for any number of windows."""

    def __init__(self, frames: Sequence[CodedFrame]) -> None:
        self._starts = _Candidates(frames, lambda frame: not frame.needs)
        self._referred = _Candidates(frames, lambda frame: frame.is_referred_to)

    def of(self, exact: Sequence[int], times: Sequence[Fraction], reach: Fraction) -> list[int]:
        """For each time, a frame near it that is cheap to decode, by number.

        At most ``reach`` ticks away: the nearest frame that needs no other; else the nearest that others refer to; else the
        one of ``exact``. Of two that are equally near, the earlier.

            frames   K b P b P b K b P       reach |--------|
            times          x       x         ->    P   K
        """
        return [
            next((n for n in (kind.nearest(time, reach) for kind in (self._starts, self._referred)) if n is not None), fallback)
            for fallback, time in zip(exact, times, strict=True)
        ]


class _Candidates:
    """The frames of one kind that are shown, in order of time."""

    def __init__(self, frames: Sequence[CodedFrame], wanted: Callable[[CodedFrame], bool]) -> None:
        found = sorted((f.time, number) for number, f in enumerate(frames) if f.time is not None and wanted(f))
        self._times = [time for time, _ in found]
        self._numbers = [number for _, number in found]

    def nearest(self, time: Fraction, reach: Fraction) -> int | None:
        """Number of the one nearest to ``time``, at most ``reach`` away; None where there is none."""
        after = bisect_left(self._times, time)
        around = [at for at in (after - 1, after) if 0 <= at < len(self._times) and abs(self._times[at] - time) <= reach]
        return self._numbers[min(around, key=lambda at: abs(self._times[at] - time))] if around else None
