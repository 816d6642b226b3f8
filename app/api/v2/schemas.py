"""Bodies of the Open Inference Protocol, as they appear at ``/docs``. Other fields of a request are ignored."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr
from pydantic.config import JsonDict

from app.api.schemas import Answer

_BINARY_SIZE = Field(default=None, ge=0, description="Size of the tensor's binary data behind the JSON, bytes")
_FLAT: JsonDict = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 255}}
_NESTED: JsonDict = {"type": "array", "items": {"type": "array", "items": {}}}
_SHARED_MEMORY = Field(default=None, description="Not supported")


class ErrorBody(Answer):
    """Any failure under `/v2`."""

    error: str = Field(
        description="What went wrong, and what to do; meant for people",
        examples=["There is no model of that name; GET /models lists what is served."],
    )


class LiveBody(Answer):
    """Answer to `GET /v2/health/live`."""

    live: Literal[True] = Field(description="The event loop turns")


class ReadyBody(Answer):
    """Answer to `GET /v2/health/ready`."""

    ready: Literal[True] = Field(description="Every model takes requests")


class ModelReadyBody(Answer):
    """Answer to `GET /v2/models/{name}/ready`."""

    name: str = Field(description="Name of the model")
    ready: Literal[True] = Field(description="The model takes requests")


class ServerBody(Answer):
    """Answer to `GET /v2`."""

    name: str = Field(description="Name of the server")
    version: str = Field(description="Its version")
    extensions: list[str] = Field(description="What it understands beyond the protocol")


class TensorBody(Answer):
    """Name, type and shape of a tensor."""

    name: str = Field(description="Name of the tensor")
    datatype: str = Field(description="The protocol's name of its type")
    shape: list[int] = Field(description="-1 stands for the number of clips")


class ModelMetadataBody(Answer):
    """Answer to `GET /v2/models/{name}`."""

    name: str = Field(description="Name of the model")
    versions: list[str] = Field(description="Those that can be asked for, the newest last")
    platform: str = Field(description="What runs the model, and the format of its file")
    inputs: list[TensorBody] = Field(description="One: the clips")
    outputs: list[TensorBody] = Field(description="One: the probabilities")


class ConfigTensorBody(Answer):
    """A tensor in a model's configuration."""

    name: str = Field(description="Name of the tensor")
    data_type: str = Field(description="Triton's name of its type")
    dims: list[int] = Field(description="Without the number of clips")


class ModelConfigBody(Answer):
    """Answer to `GET /v2/models/{name}/config`: what clients of Triton ask for."""

    name: str = Field(description="Name of the model")
    platform: str = Field(description="What runs the model, and the format of its file")
    backend: str = Field(description="What runs the model")
    max_batch_size: int = Field(description="Most clips in one request")
    input: list[ConfigTensorBody] = Field(description="One: the clips")
    output: list[ConfigTensorBody] = Field(description="One: the probabilities")


class IndexQuery(BaseModel):
    """Body of `POST /v2/repository/index`."""

    ready: StrictBool | None = Field(default=None, description="Whether to leave out what takes no requests now")


class IndexEntryBody(Answer):
    """One version in the answer to `POST /v2/repository/index`."""

    name: str = Field(description="Name of the model")
    version: str = Field(description="The served version")
    state: Literal["READY", "UNAVAILABLE"] = Field(description="Whether it takes requests now")
    reason: str = Field(description="Why not; empty where it does")


class InputParameters(BaseModel):
    """Parameters of an input tensor."""

    binary_data_size: StrictInt | None = _BINARY_SIZE
    shared_memory_region: Any = _SHARED_MEMORY


class RequestInputBody(BaseModel):
    """The input tensor, with its numbers in `data` or as binary data behind the JSON."""

    name: Literal["clips"]
    shape: list[StrictInt] = Field(
        min_length=5, max_length=5, description="[clips, frames, height, width, 3]", examples=[[1, 8, 224, 224, 3]]
    )
    datatype: Literal["UINT8"]
    parameters: InputParameters | None = None
    data: Any = Field(
        default=None,
        description="Whole numbers from 0 to 255, flat or nested as `shape` says",
        json_schema_extra={"anyOf": [_FLAT, _NESTED, {"type": "null"}]},
    )


class OutputParameters(BaseModel):
    """Parameters of an output tensor."""

    binary_data: StrictBool | None = Field(
        default=None, description="Whether to answer with binary data; wins over the request's"
    )
    classification: Annotated[StrictInt, Field(ge=0)] | None = Field(
        default=None, description="Answer with so many labels, as `probability:index:label`; 0 for the probabilities"
    )
    shared_memory_region: Any = _SHARED_MEMORY


class RequestedOutputBody(BaseModel):
    """An output tensor to answer with."""

    name: Literal["probabilities"]
    parameters: OutputParameters | None = None


class RequestParameters(BaseModel):
    """Parameters of a request."""

    binary_data_output: StrictBool | None = Field(default=None, description="Whether to answer with binary data")
    timeout: Annotated[StrictInt, Field(ge=0, lt=2**63)] | None = Field(
        default=None, description="Time from the end of the request to the answer, µs; 0 for the server's own"
    )


def _sendable(text: str) -> str:
    """``text``. Raises: ValueError: JSON may hold half of a surrogate pair, but no answer can."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("it is not Unicode")
    return text


class InferRequestBody(BaseModel):
    """Body of an inference request, or its JSON part."""

    model_config = ConfigDict(title="InferRequest")

    id: Annotated[StrictStr, AfterValidator(_sendable)] | None = Field(
        default=None, description="Comes back in the answer", examples=["42"]
    )
    parameters: RequestParameters | None = None
    inputs: list[RequestInputBody] = Field(min_length=1, max_length=1)
    outputs: Annotated[list[RequestedOutputBody], Field(max_length=1)] | None = None


class AnswerParameters(Answer):
    """Parameters of an output tensor in an answer."""

    binary_data_size: int = Field(description="Size of the tensor's binary data behind the JSON, bytes")


class AnswerOutputBody(Answer):
    """An output tensor, with its numbers in `data` or as binary data behind the JSON."""

    name: str = Field(description="Name of the tensor")
    datatype: Literal["FP32", "BYTES"] = Field(description="BYTES where labels were asked for")
    shape: list[int] = Field(description="[clips, labels]")
    parameters: AnswerParameters | None = Field(default=None, description="Where binary data follows")
    data: list[float] | list[str] | None = Field(default=None, description="Flat, row by row")


class InferAnswerBody(Answer):
    """Answer to an inference request, or its JSON part."""

    model_name: str = Field(description="Name of the model that answered")
    model_version: str = Field(description="Its version")
    id: str | None = Field(default=None, description="That of the request")
    outputs: list[AnswerOutputBody] = Field(description="One: the probabilities")
