"""The packets of a video stream as a plan sees them: when each is shown, and which others it is predicted from."""

from collections.abc import Sequence
from typing import Literal

from av.video.stream import VideoStream

from clips import av1
from clips.av1_headers import UnknownLayout
from clips.container import VideoPacket
from clips.plan import CodedFrame
from clips.references import TooManyUnits, unreferenced

_WITHOUT_TIMES = ("avi",)
"""Containers that store frames in decoding order and no presentation times."""
_REORDERED = ("h264", "hevc", "vc1", "wmv3")
"""Codecs of which the decoder alone knows in which order frames are shown, where the container does not say."""
_MPEG = ("mpeg1video", "mpeg2video", "mpeg4")
"""Codecs whose frames without references are exactly their B-pictures."""
_NOTHING: tuple[int, ...] = ()


Order = Literal["stored", "by_rank", "by_duration"]
"""When frames are shown. ``stored``: the container says it of each. ``by_rank``: it has as many times as frames, and the n-th
frame that comes out of the decoder is shown at the n-th of them. ``by_duration``: it says it of some frames, and the others
follow by their durations."""


def display_order(packets: Sequence[VideoPacket], stream: VideoStream, container: str) -> Order:
    """How to tell when a frame is shown; asked before ``coded_frames``, which numbers the packets."""
    context = stream.codec_context
    if context.name not in _REORDERED:
        return "stored"
    if container in ("avi", "asf") and context.has_b_frames:
        return "by_rank"
    return "by_duration" if any(packet.pts is None for packet in packets) else "stored"


def coded_frames(packets: Sequence[VideoPacket], stream: VideoStream, container: str) -> list[CodedFrame]:
    """One for each of ``packets``, in the same order.

    The packets' ``pts`` become their numbers, so that a decoded frame tells which packet it came from.
    """
    context = stream.codec_context
    codec, extradata = context.name, bytes(context.extradata or b"")
    data = [memoryview(packet) for packet in packets]
    times = _presentation_times(packets)
    disposable = unreferenced(codec, extradata, data)
    if container in _WITHOUT_TIMES and codec in _MPEG:
        times = _times_of_display(disposable, times)
    times = [None if packet.is_discard else time for time, packet in zip(times, packets, strict=True)]
    if codec == "vp8" and any(map(_vp8_is_shown, data)):
        times = [time if _vp8_is_shown(frame) else None for time, frame in zip(times, data, strict=True)]
    for number, packet in enumerate(packets):
        packet.pts = number
    if codec in ("libdav1d", "av1"):
        try:
            return _as_named(times, av1.references(extradata, data))
        except (UnknownLayout, TooManyUnits):
            pass
    return _chain(times, packets, disposable, leading_by_place=codec in _MPEG)


def _presentation_times(packets: Sequence[VideoPacket]) -> list[int | None]:
    """In ticks; where a container stores none at all, the decoding times."""
    times = [packet.pts for packet in packets]
    return times if any(time is not None for time in times) else [packet.dts for packet in packets]


def _times_of_display(bidirectional: Sequence[bool], times: list[int | None]) -> list[int | None]:
    """Times for a container that stores none: a B-picture is shown at once, any other one behind the B-pictures that follow.

    stored  I0 P3 B1 B2 P6 B4 B5   with rising times   0 1 2 3 4 5 6   ->   0 3 1 2 6 4 5
    """
    known = sorted({time for time in times if time is not None})
    if not any(bidirectional) or len(known) != len(times):
        return times
    order: list[int] = []
    held: list[int] = []
    for number, is_b in enumerate(bidirectional):
        if is_b:
            order.append(number)
        else:
            order += held
            held = [number]
    ranked = zip(order + held, known, strict=True)
    return [time for _, time in sorted(ranked)]


def _vp8_is_shown(frame: memoryview) -> bool:
    """RFC 6386, 9.1: the fourth bit from below."""
    return len(frame) == 0 or bool(frame[0] >> 4 & 1)


def _as_named(times: Sequence[int | None], needs: Sequence[tuple[int, ...]]) -> list[CodedFrame]:
    referred = {number for several in needs for number in several}
    return [CodedFrame(time, need, number in referred) for number, (time, need) in enumerate(zip(times, needs, strict=True))]


def _chain(
    times: Sequence[int | None], packets: Sequence[VideoPacket], disposable: Sequence[bool], *, leading_by_place: bool
) -> list[CodedFrame]:
    """Where the bitstream names no references: a frame may need every one since the keyframe that others may need.

    Leading pictures, shown before the keyframe that precedes them, may need frames from before it as well; those that are
    shown after it do not need leading pictures. In MPEG a B-picture right behind a keyframe is one (``leading_by_place``),
    whatever its time, which is a guess in a program stream.

        K0 P4 b2 K8 b6 P12      b6 needs K8 and P4; P12 needs K8
    """
    frames: list[CodedFrame] = []
    key_time: int | None = None
    last = last_leading = _NOTHING
    for number, (time, packet) in enumerate(zip(times, packets, strict=True)):
        if packet.is_keyframe:
            key_time, needs = time, _NOTHING
            last_leading, last = (number, *last), (number,)
        elif (time is not None and key_time is not None and time < key_time) or (
            leading_by_place and disposable[number] and last == last_leading[:1]
        ):
            needs = last_leading
            if not disposable[number]:
                last_leading = (number, *last_leading[-1:])
        else:
            needs = last
            if not disposable[number]:
                last = (number,)
        frames.append(CodedFrame(time, needs, not disposable[number]))
    return frames
