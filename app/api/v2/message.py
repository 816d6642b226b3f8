"""The body of an inference request to clips, and probabilities to the body of its answer. Knows no HTTP.

{"inputs": [{"name": "clips", ..., "data": [...]}]}               JSON alone
{"inputs": [{..., "parameters": {"binary_data_size": n}}]} n bytes    header_bytes of JSON, then binary data
n bytes                                                           header_bytes 0: one clip and nothing else
"""

import json
import re
from dataclasses import dataclass
from math import prod
from secrets import token_hex

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from app.api.v2.contract import HEADER_BYTES, INPUT, TensorContract
from app.api.v2.schemas import InferRequestBody, OutputParameters, RequestedOutputBody, RequestInputBody, RequestParameters
from app.api.v2.tensors import uint8_from_bytes, uint8_from_json
from app.errors import MalformedRequest

_DATA_KEY = re.compile(rb'"data"\s*:\s*(?=\[)')


@dataclass(frozen=True)
class InferMessage:
    """An inference request that fits its model."""

    clips: NDArray[np.uint8]
    """(clips, frames, height, width, 3)"""
    request_id: str | None
    timeout_seconds: float | None
    binary_output: bool
    classes: int
    """How many labels to answer with for each clip; 0 for the probabilities of all."""


def read_message(body: memoryview, header_bytes: int | None, contract: TensorContract) -> InferMessage:
    """The request in ``body``, the first ``header_bytes`` of which are JSON; None for all.

    Raises: MalformedRequest: it is not JSON, breaks the protocol, or does not fit the model.
    """
    if header_bytes == 0:
        return InferMessage(uint8_from_bytes(body, (1, *contract.clip_shape)), None, None, True, 0)
    if header_bytes is not None and header_bytes > len(body):
        raise MalformedRequest(f"Inference-Header-Content-Length is {header_bytes}; the request has {len(body)} bytes.")
    json_bytes = len(body) if header_bytes is None else header_bytes
    header, data = _parted(bytes(body[:json_bytes]))
    request = _request(header)
    clips = _clips(request, data, body[json_bytes:], contract)
    parameters = request.parameters or RequestParameters()
    output = _output_parameters(request.outputs or [])
    return InferMessage(
        clips,
        request.id,
        timeout_seconds=parameters.timeout / 1e6 if parameters.timeout else None,
        binary_output=bool(parameters.binary_data_output if output.binary_data is None else output.binary_data),
        classes=min(output.classification or 0, len(contract.labels)),
    )


@dataclass(frozen=True)
class _Data:
    """The numbers of a JSON tensor, and what stands for them in the rest: nobody can have guessed it."""

    text: bytes
    token: str


def _parted(text: bytes) -> tuple[bytes, _Data]:
    """The JSON ``text`` without the array of its first ``data``, and that array.

    The array ends with the last bracket before the next quote or brace: numbers have neither.
    """
    key = _DATA_KEY.search(text, 0, HEADER_BYTES)
    if key is None:
        return text, _Data(b"", "")
    start, token = key.end(), token_hex(16)
    end = _first(text, b'"', start, len(text))
    array = text[start : _first(text, b"}", start, end)].rstrip(b" \t\r\n,")
    if not array.endswith(b"]"):
        raise MalformedRequest("`data` must be an array of whole numbers from 0 to 255.")
    return b'%b"%b"%b' % (text[:start], token.encode(), text[start + len(array) :]), _Data(array, token)


def _first(text: bytes, character: bytes, start: int, end: int) -> int:
    """Where ``character`` comes first, or ``end``."""
    found = text.find(character, start, end)
    return end if found < 0 else found


def _request(header: bytes) -> InferRequestBody:
    if len(header) > HEADER_BYTES:
        raise MalformedRequest(f"The JSON of a request may have {HEADER_BYTES} bytes, the numbers in `data` apart.")
    try:
        return InferRequestBody.model_validate(json.loads(header.decode(), parse_constant=_refuse_constant))
    except ValidationError as problem:
        first = problem.errors(include_input=False, include_url=False)[0]
        raise MalformedRequest(f"{'.'.join(map(str, first['loc'])) or 'The request'}: {first['msg']}.") from None
    except (ValueError, RecursionError):
        raise MalformedRequest("The request is not valid JSON.") from None


def _refuse_constant(_name: str) -> None:
    raise ValueError("NaN and Infinity are not JSON")


def _clips(request: InferRequestBody, data: _Data, binary: memoryview, contract: TensorContract) -> NDArray[np.uint8]:
    (tensor,) = request.inputs
    shape = _checked_shape(tensor, contract)
    binary_bytes = tensor.parameters.binary_data_size if tensor.parameters else None
    if (binary_bytes is None) == (tensor.data is None):
        raise MalformedRequest(f"`{INPUT}` needs either `data` or the parameter `binary_data_size`.")
    if (binary_bytes or 0) != len(binary):
        raise MalformedRequest(f"The request has {len(binary)} bytes of binary data; its parameters say {binary_bytes or 0}.")
    if binary_bytes is not None:
        return uint8_from_bytes(binary, shape)
    if tensor.data != data.token:
        raise MalformedRequest(f"`data` must be an array of {prod(shape)} whole numbers from 0 to 255.")
    return uint8_from_json(data.text, shape)


def _checked_shape(tensor: RequestInputBody, contract: TensorContract) -> tuple[int, ...]:
    """The shape of the clips. Raises: MalformedRequest: the model takes another, or fewer clips at once."""
    if tensor.parameters and tensor.parameters.shared_memory_region is not None:
        raise MalformedRequest("Shared memory is not supported.")
    if tuple(tensor.shape[1:]) != contract.clip_shape:
        raise MalformedRequest(f"`{INPUT}` has the shape [clips, {', '.join(map(str, contract.clip_shape))}].")
    if not 1 <= tensor.shape[0] <= contract.max_clips:
        raise MalformedRequest(f"A request to this model may hold 1 to {contract.max_clips} clips.")
    return tuple(tensor.shape)


def _output_parameters(outputs: list[RequestedOutputBody]) -> OutputParameters:
    parameters = (outputs[0].parameters if outputs else None) or OutputParameters()
    if parameters.shared_memory_region is not None:
        raise MalformedRequest("Shared memory is not supported.")
    return parameters
