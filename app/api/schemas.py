"""Query parameters and the bodies of answers, as they appear at ``/docs``."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from clips import ClipSpec


class ClassifyQuery(BaseModel):
    """Parameters of ``POST /classify``; a misspelt one is refused."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(None, max_length=64, description="Name of the model; the default one if absent")
    version: int | None = Field(None, ge=1, description="Version of the model; the newest if absent")
    top_k: int = Field(5, ge=0, description="How many labels to answer with; 0 for all")
    timeout_ms: int | None = Field(None, ge=1, description="Time from the end of the upload to the answer, ms")


class PredictionBody(BaseModel):
    """One label."""

    label: str
    probability: float = Field(description="0 to 1")


class VideoBody(BaseModel):
    """What the decoder saw."""

    container: str
    codec: str
    width: int = Field(description="px, as shown")
    height: int = Field(description="px, as shown")
    duration_seconds: float
    frame_count: int
    partial: bool = Field(description="Whether frames of the video are missing or damaged; the others were classified")
    missing_fraction: float = Field(description="Share of its frames that are missing or damaged, 0 to 1")
    decoded_on: Literal["cpu", "cuda"]
    frame_times_seconds: list[float] = Field(description="Presentation times of the frames that the model saw")


class TimesBody(BaseModel):
    """Time of each stage, ms."""

    upload: float
    decode: float
    queue: float
    model: float


class ClassificationBody(BaseModel):
    """Answer to ``POST /classify``."""

    model: str
    version: int
    predictions: list[PredictionBody] = Field(description="Most probable first")
    video: VideoBody
    times_ms: TimesBody


class ProblemBody(BaseModel):
    """Any failure (RFC 9457)."""

    type: str = Field(examples=["urn:clipserve:problem:too_few_frames"])
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable; meant for programs", examples=["too_few_frames"])
    request_id: str


class BatchItemBody(BaseModel):
    """What became of one file of ``POST /classify/batch``."""

    index: int = Field(description="Place of the file in the form, from 0")


class BatchResultBody(BatchItemBody):
    """A video that was classified."""

    outcome: Literal["result"]
    result: ClassificationBody = Field(description="As `POST /classify` answers for this video")


class BatchProblemBody(BatchItemBody):
    """A video that was not; the others are none the worse for it."""

    outcome: Literal["problem"]
    problem: ProblemBody = Field(description="As `POST /classify` answers for this video; `status` is the one it would have")
    retry_after_seconds: int | None = Field(
        None, description="When to send this video again; null: as it is, it will fail again"
    )


class BatchBody(BaseModel):
    """Answer to ``POST /classify/batch``."""

    model: str
    version: int
    results: list[Annotated[BatchResultBody | BatchProblemBody, Field(discriminator="outcome")]] = Field(
        description="One for each file, in the order of the form"
    )


class ModelBody(BaseModel):
    """One served version of a model."""

    name: str
    version: int
    task: Literal["single_label", "multi_label"]
    labels: list[str] = Field(description="In the order of the model's output")
    precision: Literal["fp32", "fp16", "int8"] = Field(description="The variant that runs")
    execution_provider: Literal["cuda", "tensorrt", "cpu"] = Field(description="Where it really runs")
    fallback_reason: str | None = Field(description="Why a faster provider was not taken")
    clip_spec: ClipSpec
    thresholds: list[float] | None = Field(description="multi_label: the probability from which a label counts")
    metrics: dict[str, float] = Field(description="Validation metrics of the published model")
    licence: str


class ModelVersionsBody(BaseModel):
    """Answer to ``GET /models/{name}``."""

    name: str
    default_version: int = Field(description="The version that answers a request which names none")
    versions: list[ModelBody] = Field(description="Newest first")


class ModelListBody(BaseModel):
    """Answer to ``GET /models``."""

    default: str | None = Field(description="The model that answers a request which names none")
    models: list[ModelBody]


class HealthBody(BaseModel):
    """Answer to ``GET /healthz``."""

    status: Literal["alive"]


class ProtectionsBody(BaseModel):
    """What holds the decode processes back; each was tried in the process."""

    rlimits: bool = Field(description="Bounds on memory, processor time and open files")
    no_new_privs: bool = Field(description="No program can be run with more rights")
    landlock_abi: int = Field(description="No file can be opened by its name; the kernel's version of Landlock, 0 for none")
    seccomp: bool = Field(description="No system call can be made that decoding does not need")


class ReadinessBody(BaseModel):
    """Answer to ``GET /readyz``."""

    status: Literal["ready"]
    decode_protections: ProtectionsBody
    decode_accelerator: Literal["none", "cuda"]
    decode_accelerator_problem: str | None = Field(description="Why the accelerator that was asked for is not used")
