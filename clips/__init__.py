"""Video bytes to model input: the one decoder that training and serving both run.

from clips import ClipSpec, load_clip

clip = load_clip("lunge.mp4", ClipSpec(num_frames=8, height=224, width=224))
clip.frames.shape  # (8, 224, 224, 3), uint8 RGB
"""

from clips.decode import Clip, VideoFacts, load_clip, load_clips
from clips.errors import (
    ClipError,
    DecodeFailed,
    DimensionsOutOfRange,
    DurationOutOfRange,
    NotAVideo,
    NoVideoStream,
    TooFewFrames,
    UnsupportedContainer,
)
from clips.limits import DecodeLimits
from clips.manifest import GoldenClip, Manifest, TrainingProvenance, Variant
from clips.sampling import WHOLE_VIDEO, TimeWindow
from clips.spec import ClipSpec

__all__ = [
    "WHOLE_VIDEO",
    "Clip",
    "ClipError",
    "ClipSpec",
    "DecodeFailed",
    "DecodeLimits",
    "DimensionsOutOfRange",
    "DurationOutOfRange",
    "GoldenClip",
    "Manifest",
    "NoVideoStream",
    "NotAVideo",
    "TimeWindow",
    "TooFewFrames",
    "TrainingProvenance",
    "UnsupportedContainer",
    "Variant",
    "VideoFacts",
    "load_clip",
    "load_clips",
]
