"""Bodies of the Open Inference Protocol, written by hand for what no client library would send."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.colour_model import SPEC

HEADER_LENGTH = "Inference-Header-Content-Length"
CLIP_BYTES = int(np.prod(SPEC.shape))


def solid_clips(*levels: tuple[int, int, int]) -> NDArray[np.uint8]:
    """One clip of each colour: uint8 (clips, frames, height, width, 3)."""
    return np.stack([np.broadcast_to(np.array(level, np.uint8), SPEC.shape) for level in levels])


def json_request(clips: NDArray[np.uint8], **fields: Any) -> bytes:
    """A request with its numbers in the JSON."""
    tensor = {"name": "clips", "shape": list(clips.shape), "datatype": "UINT8", "data": clips.ravel().tolist()}
    return json.dumps({"inputs": [tensor], **fields}).encode()


def binary_request(clips: NDArray[np.uint8], **fields: Any) -> tuple[bytes, dict[str, str]]:
    """A request with binary data behind the JSON, and the header that says where."""
    data = clips.tobytes()
    parameters = {"binary_data_size": len(data)}
    tensor = {"name": "clips", "shape": list(clips.shape), "datatype": "UINT8", "parameters": parameters}
    header = json.dumps({"inputs": [tensor], **fields}).encode()
    return header + data, {HEADER_LENGTH: str(len(header))}
