"""From a plan to the pictures of a clip: packets through the decoder, wanted frames into the array as they come out.

A frame is converted as soon as it is decoded, so that one full-size frame is held at a time, however many are wanted.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from clips.container import BROKEN_FILE, VideoPacket
from clips.errors import DecodeFailed, TooFewFrames
from clips.limits import DecodeLimits
from clips.picture import display_geometry, to_picture
from clips.plan import CodedFrame, Plan
from clips.spec import ClipSpec, Size


@dataclass
class Damage:
    """What became of the packets that were given to the decoder."""

    read: int = 0
    damaged: int = 0
    decoded: int = 0

    def check(self, limits: DecodeLimits) -> None:
        """Raises: DecodeFailed: too many packets were damaged. TooFewFrames: too few frames came out."""
        few = self.decoded < limits.min_frames
        if self.damaged > limits.max_damaged_fraction * self.read or (self.damaged and few):
            raise DecodeFailed(f"{self.damaged} of {self.read} coded frames are damaged; send an intact file.")
        if few:
            raise TooFewFrames(f"Only {self.decoded} frame(s) could be decoded; at least {limits.min_frames} are needed.")


class Pictures:
    """The array of a clip while it fills."""

    def __init__(self, frames: NDArray[np.uint8], spec: ClipSpec, limits: DecodeLimits, stream: VideoStream) -> None:
        self._frames, self._spec, self._limits = frames, spec, limits
        self._context, self._pixel_aspect = stream.codec_context, stream.sample_aspect_ratio
        self._times: dict[int, int] = {}
        self.damage = Damage()
        self.shown: Size | None = None
        """Size at which the first picture is shown."""

    def fill(
        self,
        packets: Sequence[VideoPacket],
        frames: Sequence[CodedFrame],
        picks: Sequence[int],
        targets: Sequence[Fraction],
        plan: Plan,
    ) -> list[int]:
        """Decode by the plan; the presentation times (ticks) of the pictures, one for each of ``picks``.

        Where data is damaged, or a wanted frame does not come out (a keyframe that is none), the video is decoded again from
        its front with nothing left out, because decoders mend a frame from its neighbours; the pictures are then those that a
        player has on screen at the targets.

        Raises: ClipError
        """
        absent = defaultdict(list)
        for position, number in enumerate(picks):
            absent[frames[number].time].append(position)
        for stretch in plan.stretches:
            for frame in _decode(self._context, (packets[number] for number in stretch), self.damage):
                for position in absent.pop(time_of(frame), ()):
                    self._put(position, frame)
        if absent or self.damage.damaged or self.damage.decoded < self._limits.min_frames:
            self._fill_from_front(packets, targets)
        self.damage.check(self._limits)
        return [self._times[position] for position in range(len(picks))]

    def _fill_from_front(self, packets: Sequence[VideoPacket], targets: Sequence[Fraction]) -> None:
        """Decode everything up to the last target; each picture is the last frame that is not after its target."""
        self.damage = Damage()
        position = 0
        before: VideoFrame | None = None
        for frame in _decode(self._context, packets, self.damage):
            while before and position < len(targets) and time_of(frame) > targets[position]:
                self._put(position, before)
                position += 1
            if position == len(targets) and self.damage.decoded >= self._limits.min_frames:
                return
            before = frame
        self.damage.check(self._limits)
        assert before
        for left in range(position, len(targets)):
            self._put(left, before)

    def _put(self, position: int, frame: VideoFrame) -> None:
        self.shown = self.shown or display_geometry(frame, self._pixel_aspect)
        self._times[position] = time_of(frame)
        self._frames[position] = to_picture(frame, self._spec, self._pixel_aspect, self._limits)


def time_of(frame: VideoFrame) -> int:
    """Presentation time in ticks; a decoder that gives none gives its decoding time."""
    time = frame.pts if frame.pts is not None else frame.dts
    return time if time is not None else 0


def _decode(context: VideoCodecContext, packets: Iterable[VideoPacket], damage: Damage) -> Iterator[VideoFrame]:
    """The frames of ``packets``, then those that the decoder holds back; it is left ready for other packets."""
    for packet in packets:
        damage.read += 1
        yield from _released(context, packet, damage)
    yield from _released(context, None, damage)
    context.flush_buffers()


def _released(context: VideoCodecContext, packet: "VideoPacket | None", damage: Damage) -> Iterator[VideoFrame]:
    try:
        frames = context.decode(packet)
    except av.error.EOFError:
        return
    except BROKEN_FILE:
        damage.damaged += 1
        return
    for frame in frames:
        if frame.width and frame.height:
            damage.decoded += 1
            yield frame
