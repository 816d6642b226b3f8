"""What the decoder sees of a video, what it plans to decode, and what that costs: text, line by line, for people.

A line is given as soon as it is known, so that a video which stops the decoder shows how far it came.
"""

import io
from collections.abc import Iterator, Sequence
from time import perf_counter

import av
import numpy as np

from clips.container import open_container, video_stream
from clips.errors import ClipError
from clips.limits import DecodeLimits
from clips.pictures import Pictures
from clips.plan import Plan
from clips.planned_video import PlannedVideo, open_video
from clips.spec import ClipSpec

_COLUMNS = 80
_ROWS = 24


def examine(video: bytes, spec: ClipSpec, limits: DecodeLimits) -> Iterator[str]:
    """Lines for a terminal. A video that is refused ends with the reason instead of the cost."""
    try:
        yield from _streams(video, limits)
        yield from _plan_and_cost(video, spec, limits)
    except ClipError as refusal:
        yield _line("refused", f"{refusal.code}: {refusal}")


def _streams(video: bytes, limits: DecodeLimits) -> Iterator[str]:
    yield _line("size", f"{len(video):,} bytes")
    with open_container(io.BytesIO(video), limits) as container:
        yield _line("container", container.format.name)
        yield _line("streams", f"{len(container.streams)} of at most {limits.max_streams}")
        stream = video_stream(container, limits)
        context = stream.codec_context
        pixels = context.width * context.height
        yield _line("codec", context.name)
        yield _line("picture", f"{context.width} x {context.height} px, {pixels:,} of at most {limits.max_pixels:,}")


def _plan_and_cost(video: bytes, spec: ClipSpec, limits: DecodeLimits) -> Iterator[str]:
    started = perf_counter()
    with open_video(video, spec, limits) as opened:
        planned = perf_counter()
        yield from _times(opened, limits)
        yield from _plan(opened, spec, limits)
        pictures = Pictures(np.empty(spec.shape, np.uint8), spec, limits, opened)
        pictures.fill()
        decoded = perf_counter()
        damage = pictures.damage
        if damage.seen:
            yield _line(
                "damage", f"{damage.damaged} of {damage.read} packets, {damage.mended} frames mended; decoded from the front"
            )
        yield _line(
            "cost", f"{1000 * (planned - started):.1f} ms to read and plan, {1000 * (decoded - planned):.1f} ms to decode"
        )
        yield _line("result", "a clip, marked partial" if opened.missing or damage.seen else "a clip")


def _times(opened: PlannedVideo, limits: DecodeLimits) -> Iterator[str]:
    seconds = opened.seconds(opened.window.end - opened.window.start)
    yield _line("duration", f"{seconds:.3f} s of at most {limits.max_duration_seconds:g} s")
    starts = sum(not frame.needs for frame in opened.frames)
    spare = sum(not frame.is_referred_to for frame in opened.frames)
    yield _line("frames", f"{len(opened.frames)}; decoding can start at {starts}, no other frame refers to {spare}")
    if opened.missing:
        yield _line("missing", f"{opened.missing} more frames are announced: the file was cut short")


def _plan(opened: PlannedVideo, spec: ClipSpec, limits: DecodeLimits) -> Iterator[str]:
    plan = opened.plan
    if opened.order != "stored":
        yield _line("order", "of display: not stored in this container, so everything up to the last frame taken is decoded")
    yield _line("clip", f"{spec.num_frames} frames of {spec.width} x {spec.height} px, {spec.sampling}")
    yield _line("plan", f"{plan.cost} of {plan.frame_count} frames to decode (at most {limits.max_decoded_frames})")
    yield from _drawing(plan)


def _drawing(plan: Plan) -> Iterator[str]:
    """The plan in at most ``_ROWS`` rows; in a long video one character stands for several frames."""
    each = -(-plan.frame_count // (_COLUMNS * _ROWS)) or 1
    marks = plan.marks()
    cells = [_most(marks[start : start + each]) for start in range(0, len(marks), each)]
    per_cell = "a frame" if each == 1 else f"{each} frames"
    yield ""
    yield f"  decoding order, {per_cell} a character: * taken, + decoded for others, . left out"
    for start in range(0, len(cells), _COLUMNS):
        yield "  " + "".join(cells[start : start + _COLUMNS])
    yield ""


def _most(marks: Sequence[str]) -> str:
    return next((mark for mark in "*+" if mark in marks), ".")


def _line(name: str, value: str) -> str:
    return f"{name:<10} {value}"


def versions() -> str:
    """The libraries that decode, as one line."""
    return _line("decoder", f"PyAV {av.__version__}, FFmpeg {av.ffmpeg_version_info}")
