"""The body of an inference request to clips, and probabilities to the body of its answer. Knows no HTTP.

{"inputs": [{"name": "clips", ..., "data": [...]}]}               JSON alone
{"inputs": [{..., "parameters": {"binary_data_size": n}}]} n bytes    header_bytes of JSON, then binary data
n bytes                                                           header_bytes 0: one clip and nothing else
"""

import json
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from app.api.v2.contract import INPUT, TensorContract
from app.api.v2.json_data import JsonData, parted
from app.api.v2.schemas import InferRequestBody, OutputParameters, RequestedOutputBody, RequestInputBody, RequestParameters
from app.api.v2.tensors import uint8_from_bytes, uint8_from_json
from app.errors import MalformedRequest


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
    header, data = parted(body[:json_bytes])
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


def _request(header: bytes) -> InferRequestBody:
    try:
        return InferRequestBody.model_validate(json.loads(header.decode(), parse_constant=_refuse_constant))
    except ValidationError as problem:
        first = problem.errors(include_input=False, include_url=False)[0]
        raise MalformedRequest(f"{'.'.join(map(str, first['loc'])) or 'The request'}: {first['msg']}.") from None
    except (ValueError, RecursionError):
        raise MalformedRequest("The request is not valid JSON.") from None


def _refuse_constant(_name: str) -> None:
    raise ValueError("NaN and Infinity are not JSON")


def _clips(request: InferRequestBody, data: JsonData | None, binary: memoryview, contract: TensorContract) -> NDArray[np.uint8]:
    (tensor,) = request.inputs
    shape = _checked_shape(tensor, contract)
    binary_bytes = tensor.parameters.binary_data_size if tensor.parameters else None
    if (binary_bytes is None) == (tensor.data is None):
        raise MalformedRequest(f"`{INPUT}` needs either `data` or the parameter `binary_data_size`.")
    if (binary_bytes or 0) != len(binary):
        raise MalformedRequest(f"The request has {len(binary)} bytes of binary data; its parameters say {binary_bytes or 0}.")
    if binary_bytes is not None:
        return uint8_from_bytes(binary, shape)
    if data is None or tensor.data != data.token:
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
