"""Pictures to learn features from: frames of clips, and folders of JPEG or PNG files."""

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from PIL import Image, ImageOps
from tqdm import tqdm

from clips import ClipError, ClipSpec
from clips.errors import UsageError
from clips.limits import DecodeLimits
from clips.picture import to_picture
from training.dataset import LabelledClip, is_hidden
from training.decoding import decode_clips
from training.views import Picture

_SHORT_SIDE_PX = 128
_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
_LIMITS = DecodeLimits(max_pixels=200_000_000)  # of larger ones Pillow says itself that they are too large


@dataclass(frozen=True)
class StoredPictures:
    """Pictures as large as the frames of clips, in memory."""

    sha256: tuple[str, ...]
    """Of each file, hexadecimal."""
    frames: NDArray[np.uint8]
    """(pictures, height, width, 3)."""

    def __len__(self) -> int:
        return len(self.sha256)


NO_PICTURES = StoredPictures((), np.empty((0, 0, 0, 3), np.uint8))


class _TooDeep(ValueError):
    """A picture with more than 8 bits a channel, which Pillow would cut and not scale."""


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

    Raises: UsageError: there are none, or one cannot be read.
    """
    return [_scaled(path) for path in _with_bar(_found(folder))]


def read_stored_pictures(folder: Path, spec: ClipSpec) -> StoredPictures:
    """All pictures below ``folder`` in the order of their names, each file content once, scaled and cut as ``spec`` says.

    Raises: UsageError: there are none, or one cannot be read or is a strip.
    """
    paths = _found(folder)
    # one block: small ones would be spread over the room of large pictures, which could then not be used again
    frames = np.empty((len(paths), *spec.shape[1:]), np.uint8)
    numbers: dict[str, int] = {}
    for path in _with_bar(paths):
        with _named(path):
            content = path.read_bytes()
            sha256 = hashlib.sha256(content).hexdigest()
            if sha256 not in numbers:
                frames[len(numbers)] = _framed(io.BytesIO(content), spec)
                numbers[sha256] = len(numbers)
    return StoredPictures(tuple(numbers), frames[: len(numbers)])


def _found(folder: Path) -> list[Path]:
    """In the order of their names; what is hidden is left out."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder of pictures")
    named = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    paths = [path for path in named if not (path.is_dir() or is_hidden(path, folder))]
    if not paths:
        raise UsageError(f"{folder} holds no JPEG or PNG pictures")
    return paths


def _with_bar(paths: list[Path]) -> Iterable[Path]:
    return tqdm(paths, desc="reading pictures", unit="picture", disable=None, leave=False)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Whatever is wrong with a picture is said with its name."""
    try:
        yield
    except _TooDeep as problem:
        raise UsageError(f"{path} has more than 8 bits a channel; convert it to 8, or remove it from the folder") from problem
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as problem:  # what Pillow raises for broken files
        raise UsageError(f"{path} is not a readable picture; remove it from the folder") from problem
    except ClipError as problem:
        raise UsageError(f"{path}: {problem} Remove it from the folder.") from problem


def _scaled(path: Path) -> Picture:
    with _named(path), Image.open(path) as file:
        picture = _upright(file)
    scale = _SHORT_SIDE_PX / min(picture.size)
    size = round(picture.width * scale), round(picture.height * scale)
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC))


def _framed(content: BinaryIO, spec: ClipSpec) -> Picture:
    """By the code that scales and cuts the frames of videos."""
    with Image.open(content) as file:
        frame = VideoFrame.from_ndarray(np.asarray(_upright(file)), format="rgb24")
    return to_picture(frame, spec, None, _LIMITS)


def _upright(file: Image.Image) -> Image.Image:
    """RGB, turned as a camera says. Raises: _TooDeep."""
    if file.mode == "F" or file.mode.startswith("I"):
        raise _TooDeep
    return ImageOps.exif_transpose(file).convert("RGB")
