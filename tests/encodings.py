"""Encodings that predict frames from others in every way that a plan has to know.

grainy("h264-pyramid")                   # 40 frames, a keyframe every 12
grainy("av1", keyframe_interval=250)     # one keyframe
"""

from dataclasses import replace
from functools import cache

from tests.videos import Encoding, grainy_video, remuxed

_PYRAMID = "bframes=3:b-pyramid=normal:b-adapt=0:scenecut=0"
_X265 = "log-level=none:pools=none:frame-threads=1:scenecut=0"
_STEADY = (("sc_threshold", "1000000000"), ("qmin", "4"), ("qmax", "4"))
"""FFmpeg's own encoders put no keyframe where the picture changes, and spread quality evenly."""
_HIDDEN_FRAMES = (("auto-alt-ref", "1"), ("lag-in-frames", "16"))


def _h264(container: str, parameters: str) -> Encoding:
    return Encoding(container, "libx264", options=(("x264-params", parameters),))


def _hevc(container: str, parameters: str) -> Encoding:
    return Encoding(container, "libx265", options=(("x265-params", f"{_X265}:{parameters}"),))


def _mpeg(container: str, codec: str, b_frames: int = 2, **options: str) -> Encoding:
    return Encoding(container, codec, b_frames=b_frames, options=(*_STEADY, *options.items()))


def _av1(container: str, parameters: str) -> Encoding:
    return Encoding(container, "libsvtav1", options=(("preset", "12"), ("svtav1-params", f"lp=1:{parameters}")))


H264 = {
    "h264-plain": _h264("mp4", "bframes=0:scenecut=0"),
    "h264-pyramid": _h264("mp4", _PYRAMID),
    "h264-pyramid-mkv": _h264("matroska", _PYRAMID),
    "h264-start-codes": _h264("mpegts", _PYRAMID),
    "h264-open-gop": _h264("mp4", f"{_PYRAMID}:open-gop=1"),
    "h264-open-gop-ts": _h264("mpegts", f"{_PYRAMID}:open-gop=1"),
    "h264-intra-refresh": _h264("mp4", "intra-refresh=1:bframes=0"),
    "h264-intra-refresh-ts": _h264("mpegts", "intra-refresh=1:bframes=2"),
    "h264-interlaced": _h264("mp4", f"{_PYRAMID}:tff=1"),
    "h264-slices": _h264("mp4", f"{_PYRAMID}:slices=3:weightp=2"),
    "h264-avi-no-b": _h264("avi", "bframes=0:scenecut=0"),
}
HEVC = {
    "hevc-pyramid": _hevc("mp4", "bframes=4:b-pyramid=1:b-adapt=0"),
    "hevc-start-codes": _hevc("mpegts", "bframes=4:b-pyramid=1:b-adapt=0"),
    "hevc-closed-gop": _hevc("matroska", "bframes=3:b-adapt=0:open-gop=0"),
    "hevc-temporal-layers": _hevc("mp4", "bframes=7:b-pyramid=1:temporal-layers=3"),
}
MPEG = {
    "mpeg4-avi": _mpeg("avi", "mpeg4"),
    "mpeg4-mp4": _mpeg("mp4", "mpeg4"),
    "mpeg4-no-b": _mpeg("avi", "mpeg4", b_frames=0),
    "mpeg2-ts": _mpeg("mpegts", "mpeg2video"),
    "mpeg2-ps": _mpeg("mpeg", "mpeg2video"),
    "mpeg2-closed-gop": _mpeg("mpegts", "mpeg2video", flags="+cgop"),
    "mpeg2-interlaced": _mpeg("mpegts", "mpeg2video", flags="+ilme+ildct"),
    "mpeg2-avi": _mpeg("avi", "mpeg2video"),
    "mpeg1-ps": _mpeg("mpeg", "mpeg1video"),
}
AV1 = {
    "av1-pyramid": _av1("mp4", "hierarchical-levels=3"),
    "av1-deep-pyramid": _av1("matroska", "hierarchical-levels=5"),
    "av1-low-delay": _av1("webm", "pred-struct=1"),
    "av1-open-gop": _av1("mp4", "hierarchical-levels=3:irefresh-type=1"),
    "av1-grain": _av1("mp4", "hierarchical-levels=3:film-grain=30"),
    "av1-overlays": _av1("mp4", "hierarchical-levels=3:enable-overlays=1"),
    "av1-screen": _av1("mp4", "hierarchical-levels=3:scm=1"),
}
UNORDERED = {
    "h264-avi": _h264("avi", _PYRAMID),
    "h264-asf": _h264("asf", _PYRAMID),
    "h264-ps": _h264("vob", _PYRAMID),
}
"""The container does not store in which order frames are shown."""
OTHERS = {
    "vp8": Encoding("webm", "libvpx"),
    "vp9": Encoding("webm", "libvpx-vp9", options=_HIDDEN_FRAMES),
    "vp9-mp4": Encoding("mp4", "libvpx-vp9", options=_HIDDEN_FRAMES),
    "msmpeg4-avi": _mpeg("avi", "msmpeg4", b_frames=0),
    "wmv2-asf": _mpeg("asf", "wmv2", b_frames=0),
    "flv": _mpeg("flv", "flv", b_frames=0),
    "mjpeg-avi": Encoding("avi", "mjpeg", pixel_format="yuvj420p"),
    "prores-mov": Encoding("mov", "prores_ks", pixel_format="yuv422p10le"),
}
ENCODINGS = H264 | HEVC | MPEG | AV1 | OTHERS


@cache
def grainy(name: str, num_frames: int = 40, keyframe_interval: int = 12) -> bytes:
    """The numbered grainy video in this encoding."""
    return grainy_video(num_frames, replace((ENCODINGS | UNORDERED)[name], keyframe_interval=keyframe_interval))


def with_damaged_frame(number: int, num_frames: int = 40) -> bytes:
    """The numbered grainy video as MPEG-4, one of its coded frames overwritten."""

    def damage(packets: list[bytes]) -> list[bytes]:
        return [*packets[:number], b"\xff" * len(packets[number]), *packets[number + 1 :]]

    return remuxed(grainy("mpeg4-mp4", num_frames), "mp4", damage)


def packed_divx() -> bytes:
    """An AVI as DivX wrote it: each B-picture lies behind the picture that follows it on screen, a placeholder in its place.

    I P b P b ...   becomes   I Pb - Pb - ...
    """
    plain = grainy_video(40, replace(ENCODINGS["mpeg4-avi"], b_frames=1))
    return remuxed(plain, "avi", _packed)


_VOP = b"\0\0\1\xb6"
_USER_DATA = b"\0\0\1\xb2DivX503b1393p"
"""The ``p`` tells decoders that the bitstream is packed."""


def _packed(packets: list[bytes]) -> list[bytes]:
    behind = [*packets[1:], b""]
    packed = [
        _not_coded(number) if _is_b(packet) else packet + (following if _is_b(following) else b"")
        for number, (packet, following) in enumerate(zip(packets, behind, strict=True))
    ]
    return [packed[0].replace(_VOP, _USER_DATA + _VOP, 1), *packed[1:]]


def _is_b(packet: bytes) -> bool:
    return _VOP in packet and packet[packet.index(_VOP) + 4] >> 6 == 2


def _not_coded(number: int) -> bytes:
    """A P-VOP that repeats the picture before it; its time counts 25 to the second, in five bits."""
    bits = f"01 0 1 {number % 25:05b} 1 0 01111".replace(" ", "")
    return _VOP + int(bits, 2).to_bytes(2, "big")


def vp8_with_hidden_frames(hidden: tuple[int, ...]) -> bytes:
    """VP8 in which these frames serve others and are never shown, as alternate reference frames."""

    def hide(packets: list[bytes]) -> list[bytes]:
        return [bytes([p[0] & ~16]) + p[1:] if number in hidden else p for number, p in enumerate(packets)]

    return remuxed(grainy("vp8"), "webm", hide)
