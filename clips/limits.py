"""What a video may cost before it is refused, and which formats and codecs FFmpeg may use at all."""

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

ContainerFormat = Literal["mov", "matroska", "avi", "mpegts", "mpeg", "flv", "ogg", "asf"]
"""FFmpeg's short names of demuxers: ``mov`` reads MP4 and 3GP too, ``matroska`` WebM. Absent on purpose: everything that
follows references to other files or sockets (hls, concat, sdp, rtsp, dash, image2), devices, and pictures."""

VideoCodec = Literal[
    "h264",
    "hevc",
    "vp8",
    "vp9",
    "av1",
    "mpeg1video",
    "mpeg2video",
    "mpeg4",
    "msmpeg4v1",
    "msmpeg4v2",
    "msmpeg4",
    "h263",
    "flv",
    "theora",
    "wmv1",
    "wmv2",
    "wmv3",
    "vc1",
    "mjpeg",
    "prores",
]
"""FFmpeg's names of decoders; ``av1`` stands for ``libdav1d`` too."""


class DecodeLimits(BaseModel):
    """Upper bounds on one video. A server sets them low, a training run on its own files may raise them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_pixels: PositiveInt = 4096 * 2304
    """Width times height of a frame, px. The default admits 4K."""
    max_aspect_ratio: PositiveFloat = 32.0
    """Longer side over shorter side, as shown. A strip of 16384 x 1 px would be scaled to gigabytes before the crop."""
    max_duration_seconds: PositiveFloat = 600.0
    """Presentation time from the first frame to the end of the last."""
    max_packets: PositiveInt = 40_000
    """Coded frames in the video stream (600 s at 60 frames a second are 36,000)."""
    max_streams: PositiveInt = 32
    """Streams of any kind in the container."""
    max_decoded_frames: PositiveInt = 36_000
    """Frames that have to be decoded for a clip, the wanted ones and those they are predicted from."""
    min_frames: PositiveInt = 2
    """A single frame is a picture, not a video."""
    max_damaged_fraction: float = 0.1
    """Share of the coded frames given to the decoder that may fail before the whole video is refused."""
    max_missing_fraction: float = 0.5
    """Share of the announced frames that a file which was cut short may lack before it is refused."""
    containers: tuple[ContainerFormat, ...] = Field(default=get_args(ContainerFormat), min_length=1)
    """Containers that are opened."""
    codecs: tuple[VideoCodec, ...] = Field(default=get_args(VideoCodec), min_length=1)
    """Codecs that are decoded."""

    @property
    def decoders(self) -> tuple[str, ...]:
        """FFmpeg's names of the decoders for ``codecs``."""
        return (*self.codecs, "libdav1d") if "av1" in self.codecs else self.codecs
