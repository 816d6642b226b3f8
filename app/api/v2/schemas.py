"""Bodies of the Open Inference Protocol, as they appear at ``/docs``. Fields that are not named here are ignored."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

_BINARY_SIZE = Field(default=None, ge=0, description="Size of the tensor's binary data behind the JSON, bytes")
_SHARED_MEMORY = Field(default=None, description="Not supported")


class ErrorBody(BaseModel):
    """Any failure under `/v2`."""

    error: str = Field(examples=["There is no model of that name; GET /models lists what is served."])


class LiveBody(BaseModel):
    """Answer to `GET /v2/health/live`."""

    live: Literal[True]


class ReadyBody(BaseModel):
    """Answer to `GET /v2/health/ready`."""

    ready: Literal[True]


class ModelReadyBody(BaseModel):
    """Answer to `GET /v2/models/{name}/ready`."""

    name: str
    ready: Literal[True]


class ServerBody(BaseModel):
    """Answer to `GET /v2`."""

    name: str
    version: str
    extensions: list[str]


class TensorBody(BaseModel):
    """Name, type and shape of a tensor."""

    name: str
    datatype: str
    shape: list[int] = Field(description="-1 stands for the number of clips")


class ModelMetadataBody(BaseModel):
    """Answer to `GET /v2/models/{name}`."""

    name: str
    versions: list[str] = Field(description="Those that can be asked for, the newest last")
    platform: str
    inputs: list[TensorBody]
    outputs: list[TensorBody]


class ConfigTensorBody(BaseModel):
    """A tensor in a model's configuration."""

    name: str
    data_type: str
    dims: list[int] = Field(description="Without the number of clips")


class ModelConfigBody(BaseModel):
    """Answer to `GET /v2/models/{name}/config`: what clients of Triton ask for."""

    name: str
    platform: str
    backend: str
    max_batch_size: int = Field(description="Most clips in one request")
    input: list[ConfigTensorBody]
    output: list[ConfigTensorBody]


class IndexQuery(BaseModel):
    """Body of `POST /v2/repository/index`."""

    ready: StrictBool | None = Field(default=None, description="Whether to leave out what takes no requests now")


class IndexEntryBody(BaseModel):
    """One version in the answer to `POST /v2/repository/index`."""

    name: str
    version: str
    state: Literal["READY", "UNAVAILABLE"]
    reason: str


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
        json_schema_extra={"type": ["array", "null"], "items": {"type": ["integer", "array"], "minimum": 0, "maximum": 255}},
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


class AnswerParameters(BaseModel):
    """Parameters of an output tensor in an answer."""

    binary_data_size: int = Field(description="Size of the tensor's binary data behind the JSON, bytes")


class AnswerOutputBody(BaseModel):
    """An output tensor, with its numbers in `data` or as binary data behind the JSON."""

    name: str
    datatype: Literal["FP32", "BYTES"]
    shape: list[int] = Field(description="[clips, labels]")
    parameters: AnswerParameters | None = None
    data: list[float] | list[str] | None = Field(default=None, description="Flat, row by row")


class InferAnswerBody(BaseModel):
    """Answer to an inference request, or its JSON part."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[AnswerOutputBody]
