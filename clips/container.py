"""The container of one video, opened safely: allow-lists, one thread, and nothing but the bytes at hand.

Header fields that a broken or hostile file can set freely (duration, frame count, nominal size) are never trusted.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeAlias

import av
from av.bitstream import BitStreamFilterContext
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard
from av.video.stream import VideoStream

from clips.errors import DecodeFailed, DimensionsOutOfRange, DurationOutOfRange, NotAVideo, NoVideoStream, UnsupportedContainer
from clips.limits import DecodeLimits
from clips.references import is_packed

VideoPacket: TypeAlias = "Packet[VideoStream]"  # generic for the type checker alone


class VideoBytes(Protocol):
    """The bytes of a video, to be read from any place: an open binary file, ``io.BytesIO``, ``mmap.mmap``."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes from the current place; empty at the end."""

    def seek(self, offset: int, whence: int = 0, /) -> object:
        """Go to a place, as ``io.IOBase.seek`` does."""

    def tell(self) -> int:
        """The current place."""


class _Nameless:
    """All that FFmpeg gets to see of a file: a ``name`` would choose the demuxer."""

    def __init__(self, video: VideoBytes) -> None:
        self.read, self._seek, self.tell = video.read, video.seek, video.tell

    def seek(self, offset: int, whence: int = 0) -> int:
        """Some files (mmap before Python 3.13) do not say where they went."""
        self._seek(offset, whence)
        return self.tell()


# What PyAV raises for a damaged file besides its own errors: text that is not UTF-8, a codec context that is not
# there, ENOMEM for a container with thousands of streams, plain OSError for EBUSY.
BROKEN_FILE = (av.FFmpegError, UnicodeError, OSError, MemoryError, AttributeError, ValueError, OverflowError)

# PyAV 18 raises on tags that are not UTF-8 unless told otherwise; PyAV 19 (no such argument) escapes them
TEXT_ERRORS: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}

# one call into Python for each; FFmpeg's 32 KiB would make a thousand calls of a file of 40 MB, and from 128 KiB on every new
# buffer is a mapping of its own, whose pages cost more than the calls
_READ_BYTES = 1 << 16

_PLACEHOLDER_BYTES = 16

# Probing reads headers and decodes nothing: 3 ms instead of 54 ms for H.264 of 1080p. The decoder of VP9 would not skip
# the first frame, so it is left out, and the container's word taken for the size, until frames come. Sound is in it because
# probing goes on for seconds of the file where a stream stays unknown.
_NOT_PROBED = "vp9"
_PROBED_SOUND = ("aac", "mp2float", "mp3float", "ac3", "opus", "vorbis")

_CONTAINER_NAMES = {
    "mov": "MP4, MOV",
    "matroska": "MKV, WebM",
    "avi": "AVI",
    "mpegts": "MPEG-TS",
    "mpeg": "MPEG",
    "flv": "FLV",
    "ogg": "Ogg",
    "asf": "ASF",
}
_CODEC_NAMES = {"h264": "H.264", "hevc": "HEVC", "vp8": "VP8", "vp9": "VP9", "av1": "AV1", "mpeg4": "MPEG-4"}
"""Those that are worth a recommendation."""

# Frames up to this size are measured while the container is probed, so that the answer can name the size; above it FFmpeg
# gives up at once, whatever that would have cost.
_PROBE_PIXELS = 4096 * 4096


@contextmanager
def open_container(video: VideoBytes, limits: DecodeLimits, hwaccel: HWAccel | None = None) -> Iterator[InputContainer]:
    """A container over ``video`` alone; always closed. A nameless buffer, and FFmpeg may open nothing else."""
    try:
        container = av.open(
            _Nameless(video),
            buffer_size=_READ_BYTES,
            hwaccel=hwaccel,
            options={
                "format_whitelist": ",".join(limits.containers),
                "protocol_whitelist": "",
                "max_pixels": str(max(limits.max_pixels, _PROBE_PIXELS)),
                "max_streams": str(limits.max_streams + 1),
                "codec_whitelist": ",".join((*(name for name in limits.decoders if name != _NOT_PROBED), *_PROBED_SOUND)),
                "skip_frame": "all",
            },
            **TEXT_ERRORS,
        )
    except av.error.ArgumentError as problem:
        accepted = ", ".join(_CONTAINER_NAMES.get(name, name) for name in limits.containers)
        raise UnsupportedContainer(f"This file format is not accepted; send one of {accepted}.") from problem
    except MemoryError as problem:  # ENOMEM is how the MP4 demuxer says it
        raise _too_many_streams(limits) from problem
    except BROKEN_FILE as problem:
        raise NotAVideo("The data is not a video file, or its header is damaged or incomplete.") from problem
    with container:
        if len(container.streams) > limits.max_streams:
            raise _too_many_streams(limits)
        yield container


def video_stream(container: InputContainer, limits: DecodeLimits) -> VideoStream:
    """The first real video stream (cover art does not count), set to one thread and to the allow-lists.

    The demuxer passes over the others from now on.
    """
    stream = next((s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic), None)
    if stream is None:
        raise NoVideoStream("The file holds no video stream; send a file with a picture track.")
    for other in container.streams:
        if other is not stream:
            other.discard = Discard.all
    context = stream.codec_context
    decoders = limits.decoders
    if context is None or context.name not in decoders:
        accepted = [_CODEC_NAMES[name] for name in limits.codecs if name in _CODEC_NAMES] or limits.codecs
        raise DecodeFailed(f"The video's codec is not accepted; send one of {', '.join(accepted)}.")
    context.thread_count = 1
    # options given to av.open bound probing only: the decoder needs its own
    context.options = {"max_pixels": str(limits.max_pixels), "codec_whitelist": ",".join(decoders)}
    if context.width * context.height > limits.max_pixels:
        raise DimensionsOutOfRange(_too_large(context.width, context.height, limits))
    return stream


def read_packets(container: InputContainer, stream: VideoStream, limits: DecodeLimits, max_bytes: int) -> list[VideoPacket]:
    """All coded frames of the stream in decoding order. A container that breaks off ends here; what came before counts.

    An index may point at the same bytes many times, so that a small file yields gigabytes: ``max_bytes`` bounds their sum.
    """
    packets: list[VideoPacket] = []
    size_bytes = 0
    try:
        for packet in _demux(container, stream):
            if not packet.size:
                continue
            packets.append(packet)
            size_bytes += packet.size
            if size_bytes > max_bytes:
                raise DecodeFailed("The file's index uses the same data again and again; send an intact file.")
            if len(packets) > limits.max_packets:
                raise too_many_frames(limits.max_packets)
    except BROKEN_FILE as problem:
        if not packets:
            raise DecodeFailed("No frame could be read; the file is damaged or incomplete.") from problem
    if packets and packets[-1].is_corrupt:
        packets.pop()  # the file ends in the middle of it
    return _one_picture_each(packets, stream)


def _demux(container: InputContainer, stream: VideoStream) -> Iterator[VideoPacket]:
    """The packets of ``stream``. A transport stream may gain others halfway, which PyAV has no place for and raises at."""
    while True:
        try:
            yield from container.demux(stream)
        except IndexError:  # the packet of such a stream was read; the next ones are as good as ever
            continue
        return


def _one_picture_each(packets: list[VideoPacket], stream: VideoStream) -> list[VideoPacket]:
    """DivX files hide B-pictures behind others, with empty packets in their place; FFmpeg's filter puts them there."""
    has_placeholders = any(packet.size <= _PLACEHOLDER_BYTES for packet in packets)
    if not (has_placeholders and any(is_packed(stream.codec_context.name, memoryview(packet)) for packet in packets)):
        return packets
    unpack = BitStreamFilterContext("mpeg4_unpack_bframes", stream)
    return [unpacked for packet in packets for unpacked in unpack.filter(packet)]


def size_of(video: VideoBytes) -> int:
    """Bytes in all; the current place stays."""
    place = video.tell()
    video.seek(0, io.SEEK_END)
    size = video.tell()
    video.seek(place)
    return size


def too_many_frames(max_frames: int) -> DurationOutOfRange:
    """The refusal of a video with more than ``max_frames``."""
    return DurationOutOfRange(f"The video has more than {max_frames} frames; send a shorter one.")


def _too_many_streams(limits: DecodeLimits) -> DecodeFailed:
    return DecodeFailed(
        f"The file holds more than {limits.max_streams} streams, or its header is damaged; send the video alone."
    )


def _too_large(width: int, height: int, limits: DecodeLimits) -> str:
    return f"A frame has {width} x {height} px; at most {limits.max_pixels} px in all are accepted. Send a smaller video."
