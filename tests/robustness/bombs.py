"""Small files that cost a lot: processor time, memory, or both."""

import io
from fractions import Fraction

import av

from tests.robustness.seeds import pictures
from tests.videos import Encoding, encode

UHD = (3840, 2160)
_RATE = 25


def still_video(num_frames: int, size: tuple[int, int] = UHD) -> bytes:
    """MPEG-2 whose frames all build on the one before, so that none can be left out: 2.5 KB and some milliseconds each in 4K.

    Two frames are encoded; the second, which says "as before", stands in the file again and again.
    """
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("mpeg2video", rate=_RATE)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.gop_size, stream.codec_context.thread_count = num_frames, 1
        frames = [_black(size, 0), _black(size, 1), None]
        whole, as_before = (packet for frame in frames for packet in stream.encode(frame))
        container.mux(whole)
        for time in range(1, num_frames):
            packet = av.Packet(bytes(as_before))
            packet.stream, packet.time_base, packet.duration = stream, Fraction(1, _RATE), 1
            packet.pts = packet.dts = time
            container.mux(packet)
    return file.getvalue()


def huge_frames(width: int = 8176, height: int = 8176) -> bytes:
    """A few frames of 67 megapixels, 100 MB each once decoded."""
    return still_video(4, (width, height))


def repeated_index(times: int = 20_000) -> bytes:
    """An MP4 whose index names the same picture again and again: a small file that seems to hold gigabytes."""
    as_is = (("use_editlist", "0"),)  # an edit list would end the video behind its one picture
    mp4 = encode(pictures(640, 480, 1), Encoding(codec="mjpeg", pixel_format="yuvj420p", options=as_is))
    start = mp4.index(b"stts") - 4
    last = mp4.index(b"stco") - 4
    end = last + _word(mp4, last)
    size, offset = _word(mp4, mp4.index(b"stsz") + 8), mp4[end - 4 : end]
    tables = (
        _box(b"stts", _words(1, times, 512))
        + _box(b"stsc", _words(1, 1, 1, 1))
        + _box(b"stsz", _words(size or _word(mp4, mp4.index(b"stsz") + 16), times))
        + _box(b"stco", _words(times) + offset * times)
    )
    changed = bytearray(mp4)
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        at = mp4.index(name) - 4
        changed[at : at + 4] = _words(_word(mp4, at) + len(tables) - (end - start))
    changed[start:end] = tables
    return bytes(changed)


def _box(name: bytes, content: bytes) -> bytes:
    """With version and flags of 0."""
    return _words(12 + len(content)) + name + bytes(4) + content


def _words(*values: int) -> bytes:
    return b"".join(value.to_bytes(4, "big") for value in values)


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


def _black(size: tuple[int, int], time: int) -> av.VideoFrame:
    frame = av.VideoFrame(*size, "yuv420p")
    for plane, level in zip(frame.planes, (16, 128, 128), strict=True):
        plane.update(bytes([level]) * plane.buffer_size)
    frame.pts, frame.time_base = time, Fraction(1, _RATE)
    return frame
