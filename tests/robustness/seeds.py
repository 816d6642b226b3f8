"""Sound videos for a fuzzer to break: small, of every container and many codecs the server accepts, made alike each time."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from tests.videos import H264_MKV, H264_MP4, MPEG2_TS, MPEG4_AVI, VP9_WEBM, Encoding, Picture, encode

FRAGMENTED = ("movflags", "frag_keyframe+empty_moov")
SILENT = (("x265-params", "log-level=none"),)
ALIKE = (("x264-params", "mbtree=0:rc-lookahead=0"),)
"""What x264 looks ahead at depends on what lay in its memory."""

REORDERED = (("x264-params", "mbtree=0:rc-lookahead=0:bframes=2:b-adapt=0"),)

ENCODINGS = {
    "mp4-h264": replace(H264_MP4, options=ALIKE),
    "mp4-h264-fragmented": replace(H264_MP4, options=(*ALIKE, FRAGMENTED)),
    "mp4-hevc": Encoding(codec="libx265", options=SILENT),
    "mp4-av1": Encoding(codec="libsvtav1"),
    "mov-prores": Encoding(container="mov", codec="prores_ks", pixel_format="yuv422p10le"),
    "3gp-h263": Encoding(container="3gp", codec="h263"),
    "mkv-h264": replace(H264_MKV, options=ALIKE),
    "mkv-mpeg4": replace(H264_MKV, codec="mpeg4"),
    "webm-vp8": replace(VP9_WEBM, codec="libvpx"),
    "webm-vp9": VP9_WEBM,
    "webm-av1": replace(VP9_WEBM, codec="libsvtav1"),
    "avi-mpeg4": MPEG4_AVI,
    "avi-mjpeg": replace(MPEG4_AVI, codec="mjpeg", pixel_format="yuvj420p"),
    "avi-h264": Encoding(container="avi", options=REORDERED),
    "ts-mpeg2": MPEG2_TS,
    "ts-h264": replace(MPEG2_TS, codec="libx264", options=ALIKE),
    "ps-mpeg1": Encoding(container="mpeg", codec="mpeg1video"),
    "flv-flv1": Encoding(container="flv", codec="flv"),
    "flv-h264": Encoding(container="flv", options=ALIKE),
    "asf-wmv2": Encoding(container="asf", codec="wmv2"),
    "asf-msmpeg4": Encoding(container="asf", codec="msmpeg4"),
    "asf-h264": Encoding(container="asf", options=REORDERED),
    "ps-h264": Encoding(container="vob", options=REORDERED),
    "ogg-vp8": Encoding(container="ogg", codec="libvpx"),
}

OF_OTHERS = (
    "exoplayer/flv/sample-with-key-frame-index.flv",
    "exoplayer/mp4/sample_android_slow_motion.mp4",
    "exoplayer/mp4/midroll-5s.mp4",
    "exoplayer/ts/sample_h262_mpeg_audio.ps",
    "exoplayer/ts/sample_h263.ts",
    "exoplayer/ts/sample_h264_mpeg_audio.ts",
    "exoplayer/ts/sample_h265_rps_pred.ts",
    "exoplayer/ts/sample_scte35.ts",
    "exoplayer/vp9/bear-vp9-odd-dimensions.webm",
    "libwebm/bbb_480p_vp9_opus_1second.webm",
    "libwebm/test_stereo_left_right.webm",
    "mp4parse-rust/mp4parse_capi/tests/av1-clearkey-cbcs-video.mp4",
    "mp4parse-rust/mp4parse_capi/tests/white.mp4",
    "torchcodec/av1_video.mkv",
    "torchcodec/nasa_13013_rotated.mp4",
    "torchcodec/h264_10bits.mp4",
    "torchcodec/testsrc2_444_12bit_hevc.mp4",
    "torchcodec/testsrc2_odd_height_and_width_mpeg2.mp4",
)
"""Small ones from the test suites of other projects: with sound, subtitles, rotation, deep colour, encryption."""


@dataclass(frozen=True)
class Seed:
    """A sound video."""

    name: str
    data: bytes


def own_seeds() -> list[Seed]:
    """One of each encoding, and an MP4 whose index comes first."""
    os.environ.setdefault("SVT_LOG", "1")  # the AV1 encoder speaks at length otherwise
    seeds = [Seed(name, encode(pictures(*_size(encoding)), encoding)) for name, encoding in ENCODINGS.items()]
    return [*seeds, Seed("mp4-h264-faststart", faststart(seeds[0].data))]


def seeds_of_others(folder: Path) -> list[Seed]:
    """Those of OF_OTHERS that lie below ``folder``."""
    return [Seed(name, (folder / name).read_bytes()) for name in OF_OTHERS if (folder / name).is_file()]


def fingerprint(seeds: Sequence[Seed]) -> str:
    """Same fingerprint and same number, same input. Encoders of another version make other seeds."""
    return sha256(b"".join(sha256(seed.data).digest() for seed in seeds)).hexdigest()[:12]


def pictures(width: int, height: int, count: int = 24) -> list[Picture]:
    """Noise that drifts over the picture, so that there are motion vectors and residuals to break."""
    texture = np.random.default_rng(0).integers(0, 256, (height // 4, width // 4, 3), np.uint8)
    whole = texture.repeat(4, 0).repeat(4, 1)
    return [np.roll(whole, (i, 2 * i), (0, 1)) for i in range(count)]


def faststart(mp4: bytes) -> bytes:
    """The index in front of the pictures, where FFmpeg puts it last."""
    at = mp4.index(b"mdat") - 4
    index = mp4.index(b"moov") - 4
    head, media, moov = mp4[:at], mp4[at:index], bytearray(mp4[index:])
    offsets = moov.index(b"stco") + 8
    for entry in range(int.from_bytes(moov[offsets : offsets + 4], "big")):
        place = slice(offsets + 4 + 4 * entry, offsets + 8 + 4 * entry)
        moov[place] = (int.from_bytes(moov[place], "big") + len(moov)).to_bytes(4, "big")
    return head + bytes(moov) + media


def _size(encoding: Encoding) -> tuple[int, int]:
    # H.263 has five sizes; of 64 x 48 px x264 makes another file each time
    return (176, 144) if encoding.codec == "h263" else (96, 64)
