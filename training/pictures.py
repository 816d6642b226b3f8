"""Pictures to learn features from: frames of clips, and folders of JPEG or PNG files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from clips import ClipSpec
from clips.errors import UsageError
from training.dataset import LabelledClip
from training.decoding import decode_clips
from training.views import Picture

_SHORT_SIDE_PX = 128
_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})


def clip_frames(clips: Sequence[LabelledClip], frames_per_clip: int, file: Path) -> list[Picture]:
    """Frames of all clips, each uint8 (192, 256, 3), mapped from ``file``; clips that cannot be decoded are named.

    Raises: CommandError: no clip of a class can be decoded, or the disk is too small.
    """
    spec = ClipSpec(num_frames=frames_per_clip, height=192, width=256)
    decoded, skipped = decode_clips(clips, spec, file, workers=-1, title="decoding")
    for clip in skipped:
        print(f"left out {clip.name}: {clip.message} ({clip.code})")
    return [frame for row in decoded.rows for frame in decoded.frames[row]]


def read_pictures(folder: Path) -> list[Picture]:
    """All pictures below ``folder``, the shorter side scaled to 128 px, uint8 RGB.

    Raises: UsageError: there are none.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    if not paths:
        raise UsageError(f"{folder} holds no JPEG or PNG pictures")
    return [_read_picture(path) for path in tqdm(paths, desc="reading pictures", unit="picture", disable=None, leave=False)]


def _read_picture(path: Path) -> Picture:
    try:
        with Image.open(path) as file:
            picture = file.convert("RGB")
    except (OSError, UnidentifiedImageError) as problem:
        raise UsageError(f"{path} is not a readable picture; remove it from the folder") from problem
    scale = _SHORT_SIDE_PX / min(picture.size)
    size = round(picture.width * scale), round(picture.height * scale)
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC))
