"""A contestant: a library, asked in one way. Each library has a module of its own, imported in the process that runs it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.decoding.wanted import Wanted

Frames: TypeAlias = NDArray[np.uint8]
"""Shape (num_frames, height, width, 3), RGB."""

Decode: TypeAlias = Callable[[], Frames | None]
"""What is timed: from the bytes, or the file, to the frames."""

Prepare: TypeAlias = Callable[[Wanted, bytes], Decode]
"""What is not timed: the video's bytes are at hand already."""


@dataclass(frozen=True)
class Contestant:
    """What runs under a name in the tables."""

    name: str
    library: str
    """Name of the module here that runs it; it offers ``CONTESTANTS`` (by name) and ``VERSIONS``."""
    is_peer: bool = True


OURS = "ours_exact"
"""The mode whose frames peers are asked for."""

PEERS = {
    "pyav": (Contestant("pyav_front_to_back", "with_pyav"),),
    "opencv": (Contestant("opencv_grab", "with_opencv"), Contestant("opencv_seek", "with_opencv")),
    "decord": (Contestant("decord", "with_decord"),),
    "torchcodec": (Contestant("torchcodec_exact", "with_torchcodec"), Contestant("torchcodec_approximate", "with_torchcodec")),
}
