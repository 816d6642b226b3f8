"""How much of a video a file announces and does not hold: an upload that broke off, a recording that was cut short.

    MP4, MOV          frames that the index places behind the end of the file
    AVI               frames that the header announces, where the file is shorter than its RIFF chunk says
    MKV, WebM         playing time that the header announces, where the file is shorter than its segment says

MPEG streams, FLV, Ogg and ASF announce nothing that could be relied upon: what is there counts as all of it.
"""

import io
from collections.abc import Sequence

from av.container import InputContainer
from av.video.stream import VideoStream

from clips.container import VideoBytes, VideoPacket, size_of, too_many_frames

_MICROSECONDS = 1_000_000


def missing_frames(
    video: VideoBytes, container: InputContainer, stream: VideoStream, packets: Sequence[VideoPacket], max_frames: int
) -> int:
    """Coded frames that ``video`` announces beyond ``packets``; an estimate for Matroska.

    Raises: DurationOutOfRange: an index of more than ``max_frames``, which takes a kilobyte to write and seconds to read.
    """
    size_bytes = size_of(video)
    kinds = container.format.name.split(",")
    if "mov" in kinds:
        if len(stream.index_entries) > max_frames:
            raise too_many_frames(max_frames)
        return sum(entry.pos + entry.size > size_bytes for entry in stream.index_entries)
    if "avi" in kinds and _riff_bytes(video) > size_bytes:
        return max(0, stream.frames - len(packets))
    if "matroska" in kinds and _segment_bytes(video) > size_bytes:
        return _missing_by_time(container, stream, packets)
    return 0


def _missing_by_time(container: InputContainer, stream: VideoStream, packets: Sequence[VideoPacket]) -> int:
    times = [packet.pts for packet in packets if packet.pts is not None]
    if not (times and container.duration and stream.time_base):
        return 0
    seen_seconds = float((max(times) - min(times)) * stream.time_base)
    announced_seconds = container.duration / _MICROSECONDS
    return max(0, round(len(packets) * announced_seconds / seen_seconds) - len(packets)) if seen_seconds else 0


def _riff_bytes(video: VideoBytes) -> int:
    """Where the first RIFF chunk ends."""
    return int.from_bytes(_head(video, 8)[4:], "little") + 8


def _segment_bytes(video: VideoBytes) -> int:
    """Where the Matroska segment ends, in bytes from the start; 0 where it does not say. Source: RFC 8794, 4 to 6."""
    head = _head(video, 4096)
    at = 0
    for _ in range(8):  # the EBML header, perhaps some voids, the segment
        identifier_end = at + _ebml_length(head, at)
        size_length = _ebml_length(head, identifier_end)
        end = identifier_end + size_length
        if not at < identifier_end < end <= len(head):
            return 0
        size = int.from_bytes(head[identifier_end:end], "big") & ((1 << 7 * size_length) - 1)
        if head[at:identifier_end] == b"\x18\x53\x80\x67":
            return 0 if size == (1 << 7 * size_length) - 1 else end + size
        at = end + size
    return 0


def _ebml_length(head: bytes, at: int) -> int:
    """Bytes of the number that starts here: leading zero bits and one more; 9 where it cannot be one."""
    return 9 - head[at].bit_length() if at < len(head) else 9


def _head(video: VideoBytes, size: int) -> bytes:
    place = video.tell()
    video.seek(0, io.SEEK_SET)
    head = video.read(size)
    video.seek(place)
    return head
