"""From a plan to the pictures of a clip: packets through the decoder, wanted frames into the array as they come out.

A frame is converted as soon as it is decoded, so that one full-size frame is held at a time, however many are wanted.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from clips.container import BROKEN_FILE, VideoPacket
from clips.errors import DecodeFailed, TooFewFrames
from clips.limits import DecodeLimits
from clips.picture import Scaler, display_geometry, to_picture
from clips.planned_video import PlannedVideo
from clips.spec import ClipSpec, Size


@dataclass
class Damage:
    """What became of the packets that were given to the decoder."""

    read: int = 0
    damaged: int = 0
    """Packets that gave an error."""
    mended: int = 0
    """Frames that came out, with parts made up from others (H.264 and MPEG-4 say so)."""
    decoded: int = 0

    @property
    def seen(self) -> int:
        """Frames that are not, or not wholly, what was recorded."""
        return self.damaged + self.mended

    def check(self, limits: DecodeLimits) -> None:
        """Raises: DecodeFailed: too many packets were damaged. TooFewFrames: too few frames came out."""
        few = self.decoded < limits.min_frames
        if self.damaged and not self.decoded:
            raise DecodeFailed("No frame could be decoded: the data is damaged, or needs more than the limits allow.")
        if self.damaged > limits.max_damaged_fraction * self.read or (self.damaged and few):
            raise DecodeFailed(f"{self.damaged} of {self.read} coded frames are damaged; send an intact file.")
        if few:
            raise TooFewFrames(f"Only {self.decoded} frame(s) could be decoded; at least {limits.min_frames} are needed.")


class Pictures:
    """The array of one or several clips while it fills."""

    def __init__(self, frames: NDArray[np.uint8], spec: ClipSpec, limits: DecodeLimits, video: PlannedVideo) -> None:
        """``frames``: shape (targets of ``video``, height, width, 3), uint8."""
        self._frames, self._spec, self._limits, self._video = frames, spec, limits, video
        self._context, self._pixel_aspect = video.stream.codec_context, video.stream.sample_aspect_ratio
        self._scaler = Scaler()
        self._times = [0] * len(video.targets)
        self.damage = Damage()
        self.shown: Size | None = None
        """Size at which the first picture is shown."""

    def fill(self) -> list[int]:
        """Decode by the plan; the presentation times of the pictures, in ticks.

        Where data is damaged, or a wanted frame does not come out (a keyframe that is none), the video is decoded again from
        its front with nothing left out, because decoders mend a frame from its neighbours; the pictures are then those that a
        player has on screen at the targets. From the front, too, where only the decoder knows the order of the frames.

        Raises: ClipError
        """
        if self._video.order != "stored" or not self._fill_by_plan():
            self._fill_from_front(self._video.targets)
        elif self.damage.decoded < self._limits.min_frames:
            self._fill_from_front([])
        self.damage.check(self._limits)
        return self._times

    def fill_all(self) -> list[int] | None:
        """As ``fill``, for several clips at once; None where any of them would need more than the plan.

        What is damaged, or shows too few frames to tell, is to be decoded clip by clip.
        """
        if self._video.order != "stored":
            self._fill_from_front(self._video.targets)
        elif self._video.shortest_plan < self._limits.min_frames or not self._fill_by_plan():
            return None
        return None if self.damage.seen else self._times

    def _fill_by_plan(self) -> bool:
        """Whether every picture came out, and nothing was damaged."""
        absent = defaultdict(list)
        for position, number in enumerate(self._video.picks):
            absent[number].append(position)
        for stretch in self._video.plan.stretches:
            for frame in _decode(self._context, (self._video.packets[number] for number in stretch), self.damage):
                for position in absent.pop(_number_of(frame), ()):
                    self._put(position, frame, self._time_of(frame) or 0)
        return not (absent or self.damage.seen)

    def _fill_from_front(self, targets: Sequence[Fraction]) -> None:
        """Decode everything up to the last target; each picture is the last frame that is not after its target."""
        self.damage = Damage()
        rising = sorted(range(len(targets)), key=targets.__getitem__)  # those of clips that overlap are not
        done = 0
        before: VideoFrame | None = None
        before_time = int(self._video.window.start)
        for frame, time in self._shown(_decode(self._context, self._video.packets, self.damage)):
            while before and done < len(targets) and time > targets[rising[done]]:
                self._put(rising[done], before, before_time)
                done += 1
            if done == len(targets) and self.damage.decoded >= self._limits.min_frames:
                return
            if self.damage.read > self._limits.max_decoded_frames:
                raise DecodeFailed(
                    "The video is damaged, or its container does not store the order of its frames, and it is too long to be "
                    "decoded from its front; send an intact file, or MP4."
                )
            before, before_time = frame, time
        self.damage.check(self._limits)
        for position in rising[done:]:
            assert before
            self._put(position, before, before_time)

    def _shown(self, frames: Iterable[VideoFrame]) -> Iterator[tuple[VideoFrame, int]]:
        """``frames``, which come in the order of display, each with its presentation time in ticks."""
        times = sorted(frame.time for frame in self._video.frames if frame.time is not None)
        time, duration = times[0], 0
        for rank, frame in enumerate(frames):
            known = times[min(rank, len(times) - 1)] if self._video.order == "by_rank" else self._time_of(frame)
            time = time + duration if known is None else known
            duration = frame.duration
            yield frame, time

    def _put(self, position: int, frame: VideoFrame, time: int) -> None:
        self.shown = self.shown or display_geometry(frame, self._pixel_aspect)
        self._times[position] = time
        self._frames[position] = to_picture(frame, self._spec, self._pixel_aspect, self._limits, self._scaler)

    def _time_of(self, frame: VideoFrame) -> int | None:
        """Presentation time in ticks; None where it is not known."""
        number = _number_of(frame)
        return self._video.frames[number].time if 0 <= number < len(self._video.frames) else None


def _number_of(frame: VideoFrame) -> int:
    """Number of the packet that the frame was in, which its ``pts`` holds; -1 where the decoder lost it."""
    return frame.pts if frame.pts is not None else -1


def _decode(context: VideoCodecContext, packets: Iterable[VideoPacket], damage: Damage) -> Iterator[VideoFrame]:
    """The frames of ``packets``, then those that the decoder holds back; it is left ready for other packets."""
    for packet in packets:
        damage.read += 1
        try:
            frames = context.decode(packet)
        except MemoryError:  # of which BROKEN_FILE is not to know: the video is not to blame
            raise
        except BROKEN_FILE:
            damage.damaged += 1
        else:
            yield from _counted(frames, damage)
    try:
        frames = context.decode(None)
    except MemoryError:
        raise
    except BROKEN_FILE:
        frames = []
    yield from _counted(frames, damage)
    context.flush_buffers()


def _counted(frames: Iterable[VideoFrame], damage: Damage) -> Iterator[VideoFrame]:
    for frame in frames:
        if frame.width and frame.height:
            damage.decoded += 1
            damage.mended += frame.is_corrupt
            yield frame
