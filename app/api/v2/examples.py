"""One example of each answer of the Open Inference Protocol, for the reference."""

from app.api.v2.contract import BACKEND, INPUT, INPUT_TYPE, OUTPUT, OUTPUT_TYPE, PLATFORM
from app.api.v2.protocol import EXTENSIONS
from app.api.v2.schemas import (
    AnswerOutputBody,
    ConfigTensorBody,
    IndexEntryBody,
    InferAnswerBody,
    LiveBody,
    ModelConfigBody,
    ModelMetadataBody,
    ModelReadyBody,
    ReadyBody,
    ServerBody,
    TensorBody,
)

_MODEL, _VERSION = "exercise10", "1"
_CLIP_SHAPE, _LABELS = [4, 128, 128, 3], 3

SERVER = ServerBody(name="clipserve", version="1.0.0", extensions=EXTENSIONS)
LIVE, READY, MODEL_READY = LiveBody(live=True), ReadyBody(ready=True), ModelReadyBody(name=_MODEL, ready=True)
METADATA = ModelMetadataBody(
    name=_MODEL,
    versions=[_VERSION],
    platform=PLATFORM,
    inputs=[TensorBody(name=INPUT, datatype=INPUT_TYPE, shape=[-1, *_CLIP_SHAPE])],
    outputs=[TensorBody(name=OUTPUT, datatype=OUTPUT_TYPE, shape=[-1, _LABELS])],
)
CONFIG = ModelConfigBody(
    name=_MODEL,
    platform=PLATFORM,
    backend=BACKEND,
    max_batch_size=64,
    input=[ConfigTensorBody(name=INPUT, data_type=f"TYPE_{INPUT_TYPE}", dims=_CLIP_SHAPE)],
    output=[ConfigTensorBody(name=OUTPUT, data_type=f"TYPE_{OUTPUT_TYPE}", dims=[_LABELS])],
)
INDEX = [IndexEntryBody(name=_MODEL, version=_VERSION, state="READY", reason="")]
INFERRED = InferAnswerBody(
    model_name=_MODEL,
    model_version=_VERSION,
    id="42",
    outputs=[AnswerOutputBody(name=OUTPUT, datatype=OUTPUT_TYPE, shape=[1, _LABELS], data=[0.027, 0.872, 0.101])],
)
BINARY_INFERRED = '{"model_name":"exercise10", ..., "parameters":{"binary_data_size":12}}]} and 12 bytes'
