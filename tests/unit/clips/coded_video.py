"""A video taken apart as ``load_clip`` does it, for tests of what stands between its bytes and its pictures."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

from clips import DecodeLimits
from clips.coded_frames import coded_frames
from clips.container import VideoPacket, open_container, read_packets, video_stream
from clips.plan import CodedFrame

LIMITS = DecodeLimits()


@dataclass(frozen=True)
class CodedVideo:
    context: VideoCodecContext
    packets: list[VideoPacket]
    frames: list[CodedFrame]

    def drawing(self) -> str:
        """``K`` where decoding can start, ``P`` what others may be predicted from, ``b`` what no other refers to."""
        return "".join("K" if not frame.needs else "P" if frame.is_referred_to else "b" for frame in self.frames)

    def decode(self, numbers: Sequence[int] | None = None) -> dict[int, NDArray[np.generic]]:
        """The decoded pictures of these frames, and of no others, by number; a decoder emptied before and after."""
        number_of = {packet.pts: number for number, packet in enumerate(self.packets)}
        pictures = {}
        given = range(len(self.packets)) if numbers is None else numbers
        for packet in [*(self.packets[number] for number in given), None]:
            for frame in self._released(packet):
                pictures[number_of[frame.pts]] = frame.to_ndarray()
        self.context.flush_buffers()
        return pictures

    def _released(self, packet: "VideoPacket | None") -> list[av.VideoFrame]:
        try:
            return self.context.decode(packet)
        except av.error.EOFError:
            return []


@contextmanager
def coded_video(video: bytes) -> Iterator[CodedVideo]:
    with open_container(io.BytesIO(video), LIMITS) as container:
        stream = video_stream(container, LIMITS)
        packets = read_packets(container, stream, LIMITS, max_bytes=1 << 30)
        frames = coded_frames(packets, stream, container.format.name)
        yield CodedVideo(stream.codec_context, packets, frames)
