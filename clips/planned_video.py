"""A video whose packets were read and whose decoding is planned; nothing is decoded yet."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from av.video.stream import VideoStream

from clips.acceleration import Accelerator, hardware
from clips.coded_frames import Order, coded_frames, display_order
from clips.container import VideoBytes, VideoPacket, open_container, read_packets, size_of, video_stream
from clips.errors import DecodeFailed, DurationOutOfRange, TooFewFrames
from clips.limits import DecodeLimits
from clips.missing import missing_frames
from clips.plan import CodedFrame, NearestReferences, Plan, plan_decoding
from clips.sampling import WHOLE_VIDEO, TimeWindow, Window, frames_on_screen, segment_centres, stream_window
from clips.spec import ClipSpec

VideoSource = bytes | str | PathLike[str] | VideoBytes

# demuxers add parameter sets and start codes to the frames of a file, so its frames may be a little larger than itself
_ADDED_BYTES = 1 << 20


@dataclass(frozen=True)
class PlannedVideo:
    """Valid for as long as its container is open."""

    container: str
    stream: VideoStream
    packets: list[VideoPacket]
    frames: list[CodedFrame]
    missing: int
    """Frames that the file announces and does not hold."""
    window: Window
    """The whole video."""
    targets: list[Fraction]
    """Times to show, in ticks: those of the first clip, then those of the second, and so on."""
    picks: list[int]
    """For each target, the number of the coded frame to take."""
    plan: Plan
    shortest_plan: int
    """Frames to decode for the clip that takes fewest."""
    order: Order
    """Where it is not ``stored``, the plan's frames may be others than those that are on screen."""

    def seconds(self, ticks: Fraction) -> float:
        """A length in ticks of the stream's time base, s."""
        return float(ticks * (self.stream.time_base or Fraction(1)))


@contextmanager
def open_video(
    source: VideoSource,
    spec: ClipSpec,
    limits: DecodeLimits,
    accelerator: Accelerator = "none",
    windows: Sequence[TimeWindow] = (WHOLE_VIDEO,),
) -> Iterator[PlannedVideo]:
    """Read the packets of a video and plan the decoding of one clip for each of ``windows``. Raises: as ``load_clips``."""
    with _opened(source) as file, open_container(file, limits, hardware(accelerator)) as container:
        stream = video_stream(container, limits)
        packets = read_packets(container, stream, limits, max_bytes=2 * size_of(file) + _ADDED_BYTES)
        missing = missing_frames(file, container, stream, packets, limits.max_packets)
        _check_missing(missing, len(packets), limits)
        order = display_order(packets, stream, container.format.name)
        frames = coded_frames(packets, stream, container.format.name)
        time_base = stream.time_base or Fraction(1)
        whole = _whole_window(packets, frames, order, time_base, limits)
        chosen = _choose(frames, [window.within(whole, time_base) for window in windows], spec)
        if chosen.plan.cost > limits.max_decoded_frames:
            raise DurationOutOfRange(
                f"{chosen.plan.cost} frames would have to be decoded; at most {limits.max_decoded_frames} are. "
                "Send a shorter video, or one with more keyframes."
            )
        yield PlannedVideo(container.format.name, stream, packets, frames, missing, whole, *chosen, order)


@contextmanager
def _opened(source: VideoSource) -> Iterator[VideoBytes]:
    if isinstance(source, bytes):
        yield io.BytesIO(source)
    elif isinstance(source, str | PathLike):
        with Path(source).open("rb") as file:
            yield file
    else:
        source.seek(0)
        yield source


def _check_missing(missing: int, present: int, limits: DecodeLimits) -> None:
    if missing > limits.max_missing_fraction * (missing + present):
        raise DecodeFailed(f"{missing} of {missing + present} frames are missing: the file was cut short. Send all of it.")


def _whole_window(
    packets: list[VideoPacket], frames: list[CodedFrame], order: Order, time_base: Fraction, limits: DecodeLimits
) -> Window:
    timestamps = _rising_timestamps(frames)
    if len(timestamps) < limits.min_frames:
        raise TooFewFrames(f"The video has {len(timestamps)} frame(s); at least {limits.min_frames} are needed.")
    last = next(packet for packet, frame in zip(packets, frames, strict=True) if frame.time == timestamps[-1])
    window = stream_window(timestamps, last.duration)
    if order == "by_duration":  # the last frames may be among those without a time
        window = window._replace(end=max(window.end, window.start + sum(packet.duration or 0 for packet in packets)))
    duration_seconds = float((window.end - window.start) * time_base)
    if duration_seconds > limits.max_duration_seconds:
        raise DurationOutOfRange(
            f"The video lasts {duration_seconds:.0f} s; at most {limits.max_duration_seconds:.0f} s are accepted."
        )
    return window


def _rising_timestamps(frames: list[CodedFrame]) -> list[int]:
    return sorted({frame.time for frame in frames if frame.time is not None})


class _Chosen(NamedTuple):
    targets: list[Fraction]
    picks: list[int]
    """For each target, the number of the frame to take."""
    plan: Plan
    shortest_plan: int


def _choose(frames: list[CodedFrame], windows: list[Window], spec: ClipSpec) -> _Chosen:
    """What to take for each window, whatever the others are, and how to decode all of it."""
    timestamps = _rising_timestamps(frames)
    number_at = {frame.time: number for number, frame in enumerate(frames)}
    nearest = NearestReferences(frames) if spec.sampling == "nearest_reference" else None
    chosen = []
    for window in windows:
        targets = segment_centres(window, spec.num_frames)
        exact = [number_at[time] for time in frames_on_screen(timestamps, targets)]
        candidates = [exact]  # what the spec allows; the frames on screen always are
        if nearest:
            candidates.append(nearest.of(exact, targets, reach=(window.end - window.start) / (2 * spec.num_frames)))
        chosen.append(_cheapest(frames, targets, candidates))
    if len(chosen) == 1:
        return chosen[0]
    picks = [number for one in chosen for number in one.picks]
    targets, shortest = [time for one in chosen for time in one.targets], min(one.plan.cost for one in chosen)
    return _Chosen(targets, picks, plan_decoding(frames, picks), shortest)


def _cheapest(frames: list[CodedFrame], targets: list[Fraction], candidates: Sequence[list[int]]) -> _Chosen:
    """The picks with the shortest plan; of two that cost the same, the first."""
    plans = [(picks, plan_decoding(frames, picks)) for picks in candidates]
    picks, plan = min(plans, key=lambda each: each[1].cost)
    return _Chosen(targets, picks, plan, plan.cost)
