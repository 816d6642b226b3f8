"""The bodies of answers, as they appear at ``/docs``."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from clips import ClipSpec


class Answer(BaseModel):
    """A body that we write: the reference promises that there are no other fields."""

    model_config = ConfigDict(extra="forbid")


class PredictionBody(Answer):
    """One label."""

    label: str = Field(description="One of the model's labels")
    probability: float = Field(ge=0, le=1, description="0 to 1; of single_label models they add up to 1")


class VideoFileBody(Answer):
    """What the file says of its video."""

    container: str = Field(description="FFmpeg's name of the format", examples=["mov,mp4,m4a,3gp,3g2,mj2"])
    codec: str = Field(description="FFmpeg's name of the codec", examples=["h264"])
    width: int = Field(description="px, as shown")
    height: int = Field(description="px, as shown")
    duration_seconds: float = Field(ge=0, description="From the first frame to the end of the last one")
    frame_count: int = Field(ge=0, description="Frames in the file, as counted in its packets")


class VideoBody(VideoFileBody):
    """What the decoder saw."""

    partial: bool = Field(description="Whether frames of the video are missing or damaged; the others were classified")
    missing_fraction: float = Field(ge=0, le=1, description="Share of its frames that are missing or damaged")
    decoded_on: Literal["cpu", "cuda"] = Field(description="Where the frames were decoded")
    frame_times_seconds: list[float] = Field(description="Presentation times of the frames that the model saw")


class TimesBody(Answer):
    """Time of each stage, ms."""

    upload: float = Field(ge=0, description="Until the last byte of the video had arrived, ms")
    decode: float = Field(ge=0, description="Waiting for a decode process, and decoding, ms")
    queue: float = Field(ge=0, description="Waiting for the model, ms")
    model: float = Field(ge=0, description="The run of the batch that the clip was in, ms")


_TAGS = Field(
    description="multi_label: the labels that the video has, those that reach their thresholds; most probable first, and all "
    "of them whatever `top_k` is. null: the model is single_label, and its answer is the first prediction"
)


class ClassificationBody(Answer):
    """Answer to ``POST /classify``."""

    model: str = Field(description="Name of the model that answered")
    version: int = Field(description="Its version")
    predictions: list[PredictionBody] = Field(description="Most probable first")
    tags: list[str] | None = _TAGS
    video: VideoBody = Field(description="What the decoder saw")
    times_ms: TimesBody = Field(description="Time of each stage, ms")


class ProblemBody(Answer):
    """Any failure (RFC 9457)."""

    type: str = Field(description="The code as an URI", examples=["urn:clipserve:problem:too_few_frames"])
    title: str = Field(description="What went wrong, the same for every problem of the code")
    status: int = Field(ge=400, le=599, description="The HTTP status")
    detail: str = Field(description="What went wrong this time, and what to do; meant for people")
    code: str = Field(description="Stable; meant for programs", examples=["too_few_frames"])
    request_id: str = Field(description="As in the header X-Request-ID and in the server's log")


class BatchItemBody(Answer):
    """What became of one file of ``POST /classify/batch``."""

    index: int = Field(ge=0, description="Place of the file in the form, from 0")


class BatchResultBody(BatchItemBody):
    """A video that was classified."""

    outcome: Literal["result"] = Field(description="Which of the two kinds this item is")
    result: ClassificationBody = Field(description="As `POST /classify` answers for this video")


class BatchProblemBody(BatchItemBody):
    """A video that was not; the others are none the worse for it."""

    outcome: Literal["problem"] = Field(description="Which of the two kinds this item is")
    problem: ProblemBody = Field(description="As `POST /classify` answers for this video; `status` is the one it would have")
    retry_after_seconds: int | None = Field(
        None, ge=1, description="When to send this video again; null: as it is, it will fail again"
    )


class BatchBody(Answer):
    """Answer to ``POST /classify/batch``."""

    model: str = Field(description="Name of the model that answered")
    version: int = Field(description="Its version")
    results: list[Annotated[BatchResultBody | BatchProblemBody, Field(discriminator="outcome")]] = Field(
        description="One for each file, in the order of the form"
    )


class ExecutionPlanBody(Answer):
    """How a model uses its machine, as it was measured at the start or asked for."""

    lanes: int = Field(ge=1, description="Batches that run at once")
    intra_op_threads: int = Field(ge=1, description="Threads of each lane, on a CPU")
    max_batch_size: int = Field(ge=1, description="Most clips in one run")
    lone_threads: int = Field(ge=1, description="Threads of a run that has the machine to itself, on a CPU")
    clips_per_second: float = Field(gt=0, description="Of all lanes together, without decoding; estimated from a few runs")


class ModelBody(Answer):
    """One served version of a model."""

    name: str = Field(description="Name of the model")
    version: int = Field(ge=1, description="Version of the model")
    is_default: bool = Field(description="Whether it answers a request that names its model and no version")
    task: Literal["single_label", "multi_label"] = Field(description="Whether a video has one label, or any number of them")
    labels: list[str] = Field(description="In the order of the model's output")
    precision: Literal["fp32", "fp16", "int8"] = Field(description="The variant that runs")
    execution_provider: Literal["cuda", "tensorrt", "cpu"] = Field(description="Where it really runs")
    fallback_reason: str | None = Field(description="Why a faster provider was not taken")
    execution_plan: ExecutionPlanBody = Field(description="Lanes, threads and batch size that it runs with")
    clip_spec: ClipSpec = Field(description="How a video becomes the model's input")
    thresholds: list[float] | None = Field(description="multi_label: the probability from which a label counts")
    metrics: dict[str, float] = Field(description="Validation metrics of the published model")
    licence: str = Field(description="Of the model's weights")


class ModelVersionsBody(Answer):
    """Answer to ``GET /models/{name}``."""

    name: str = Field(description="Name of the model")
    default_version: int = Field(description="The version that answers a request which names none")
    default_is_chosen: bool = Field(description="Whether it was chosen; else it is the newest that is served")
    versions: list[ModelBody] = Field(description="Newest first")


class UnloadedBody(Answer):
    """Answer to ``POST /models/{name}/unload``."""

    name: str = Field(description="Name of the model")
    unloaded: list[int] = Field(description="Versions that are gone, rising")
    served: list[int] = Field(description="Versions of the model that are still served, rising")


class ModelListBody(Answer):
    """Answer to ``GET /models``."""

    default: str | None = Field(description="The model that answers a request which names none")
    models: list[ModelBody] = Field(description="Every served version of every model")


class HealthBody(Answer):
    """Answer to ``GET /healthz``."""

    status: Literal["alive"] = Field(description="The event loop turns")


class ProtectionsBody(Answer):
    """What holds the decode processes back; each was tried in the process."""

    rlimits: bool = Field(description="Bounds on memory, processor time and open files")
    no_new_privs: bool = Field(description="No program can be run with more rights")
    landlock_abi: int = Field(description="No file can be opened by its name; the kernel's version of Landlock, 0 for none")
    seccomp: bool = Field(description="No system call can be made that decoding does not need")


class ReadinessBody(Answer):
    """Answer to ``GET /readyz``."""

    status: Literal["ready"] = Field(description="Every model is loaded, warm and gave its golden probabilities")
    decode_protections: ProtectionsBody = Field(description="What holds the decode processes back")
    decode_accelerator: Literal["none", "cuda"] = Field(description="What helps to decode")
    decode_accelerator_problem: str | None = Field(description="Why the accelerator that was asked for is not used")
