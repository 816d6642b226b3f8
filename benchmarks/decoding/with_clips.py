"""Our own decoder in each of its modes, and the floor: libavcodec alone with the packets that the plan cannot avoid."""

import typing
from contextlib import suppress
from functools import partial
from typing import Any

import av
from av.video.codeccontext import VideoCodecContext

from benchmarks.decoding.contestant import Contestant, Decode, Frames, Prepare
from benchmarks.decoding.wanted import SPEC, Wanted
from clips import ClipSpec, DecodeLimits, load_clip
from clips.container import VideoPacket
from clips.planned_video import open_video

MODES: tuple[str, ...] = typing.get_args(ClipSpec.model_fields["sampling"].annotation)


def ours(mode: str) -> Prepare:
    """``load_clip`` from bytes."""
    spec = _spec(mode)

    def prepare(video: Wanted, data: bytes) -> Decode:  # noqa: ARG001 - finds the frames itself
        def decode() -> Frames:
            return load_clip(data, spec).frames

        return decode

    return prepare


def floor(mode: str) -> Prepare:
    """The packets of the plan through ``avcodec_send_packet`` and ``avcodec_receive_frame``; nothing is done with the frames.

    Reading the container, planning and preparing the decoder are not timed.
    """
    spec = _spec(mode)

    def prepare(video: Wanted, data: bytes) -> Decode:  # noqa: ARG001
        reading = open_video(data, spec, DecodeLimits())
        opened = reading.__enter__()
        opened.stream.codec_context.open(strict=False)
        stretches = [[opened.packets[number] for number in stretch] for stretch in opened.plan.stretches]
        return partial(_decode_alone, opened.stream.codec_context, stretches, reading)

    return prepare


def _decode_alone(context: VideoCodecContext, stretches: list[list[VideoPacket]], _held: object) -> None:
    """``_held`` is the open container: it has to outlive the packets."""
    for stretch in stretches:
        for packet in stretch:
            context.decode(packet)
        with suppress(av.error.EOFError):
            context.decode(None)
        context.flush_buffers()


def _spec(mode: str) -> ClipSpec:
    changed: dict[str, Any] = {"sampling": mode}
    return ClipSpec.model_validate(SPEC.model_dump() | changed)


CONTESTANTS: dict[str, Prepare] = {f"ours_{mode}": ours(mode) for mode in MODES} | {
    f"floor_{mode}": floor(mode) for mode in MODES
}
VERSIONS = {"av": av.__version__, "FFmpeg": av.ffmpeg_version_info}
NAMES = tuple(Contestant(name, "with_clips", is_peer=False) for name in CONTESTANTS)
