"""One example of each answer, for the reference. They are instances of the models, so that they cannot differ from them.

Nothing in them is null: FastAPI leaves null out of a document, and an example without a required field is none.
"""

from app.api.problems import problem_body
from app.api.schemas import (
    BatchBody,
    BatchProblemBody,
    BatchResultBody,
    ClassificationBody,
    ExecutionPlanBody,
    HealthBody,
    ModelBody,
    ModelListBody,
    ModelVersionsBody,
    PredictionBody,
    ProtectionsBody,
    ReadinessBody,
    TimesBody,
    UnloadedBody,
    VideoBody,
    VideoFileBody,
)
from app.api.timeline_events import (
    SegmentBody,
    SegmentsEvent,
    VideoEvent,
    WindowEvent,
    WindowProblemEvent,
)
from app.errors import RefusedVideo
from clips import ClipSpec
from clips.errors import DecodeFailed, NotAVideo

_REQUEST_ID = "3f0c9a8e5d1b7a42"

_MODEL = ModelBody(
    name="exercise10",
    version=1,
    is_default=True,
    task="multi_label",
    labels=["HandstandWalking", "PullUps", "PushUps"],
    precision="int8",
    execution_provider="cpu",
    fallback_reason="cuda: there is no NVIDIA GPU here",
    execution_plan=ExecutionPlanBody(lanes=2, intra_op_threads=1, max_batch_size=1, lone_threads=2, clips_per_second=28.9),
    clip_spec=ClipSpec(num_frames=4, height=128, width=128),
    thresholds=[0.42, 0.5, 0.47],
    metrics={"mean_average_precision": 0.653, "macro_f1": 0.634},
    licence="Apache-2.0",
)

CLASSIFICATION = ClassificationBody(
    model=_MODEL.name,
    version=_MODEL.version,
    predictions=[PredictionBody(label="PullUps", probability=0.872), PredictionBody(label="PushUps", probability=0.101)],
    tags=["PullUps"],
    video=VideoBody(
        container="mov,mp4,m4a,3gp,3g2,mj2",
        codec="h264",
        width=320,
        height=240,
        duration_seconds=6.0,
        frame_count=180,
        partial=False,
        missing_fraction=0.0,
        decoded_on="cpu",
        frame_times_seconds=[0.733, 2.233, 3.733, 5.233],
    ),
    times_ms=TimesBody(upload=1.52, decode=31.207, queue=0.118, model=92.4),
)
BATCH = BatchBody(
    model=_MODEL.name,
    version=_MODEL.version,
    results=[
        BatchResultBody(index=0, outcome="result", result=CLASSIFICATION),
        BatchProblemBody(
            index=1,
            outcome="problem",
            problem=problem_body(RefusedVideo(NotAVideo("The data is no video in a known format.")), _REQUEST_ID),
            retry_after_seconds=None,
        ),
    ],
)
TIMELINE = (
    VideoEvent(
        event="video",
        model=_MODEL.name,
        version=_MODEL.version,
        video=VideoFileBody(
            container="mov,mp4,m4a,3gp,3g2,mj2", codec="h264", width=320, height=240, duration_seconds=14.0, frame_count=420
        ),
        windows=3,
    ),
    WindowEvent(
        event="window",
        index=0,
        start_seconds=0.0,
        end_seconds=5.0,
        predictions=[PredictionBody(label="PullUps", probability=0.872)],
        tags=["PullUps"],
        partial=False,
    ),
    WindowEvent(
        event="window",
        index=1,
        start_seconds=5.0,
        end_seconds=10.0,
        predictions=[PredictionBody(label="PullUps", probability=0.914)],
        tags=["PullUps"],
        partial=False,
    ),
    WindowProblemEvent(
        event="problem",
        index=2,
        start_seconds=9.0,
        end_seconds=14.0,
        problem=problem_body(RefusedVideo(DecodeFailed("9 of 31 coded frames are damaged; send an intact file.")), _REQUEST_ID),
        retry_after_seconds=None,
    ),
    SegmentsEvent(
        event="segments",
        segments=[SegmentBody(label="PullUps", start_seconds=0.0, end_seconds=9.5, probability=0.893, windows=2)],
        failed_windows=1,
    ),
)
MODEL_VERSIONS = ModelVersionsBody(name=_MODEL.name, default_version=_MODEL.version, default_is_chosen=False, versions=[_MODEL])
MODEL_LIST = ModelListBody(default=_MODEL.name, models=[_MODEL])
UNLOADED = UnloadedBody(name=_MODEL.name, unloaded=[1], served=[2])
HEALTH = HealthBody(status="alive")
READINESS = ReadinessBody(
    status="ready",
    decode_protections=ProtectionsBody(rlimits=True, no_new_privs=True, landlock_abi=6, seccomp=True),
    decode_accelerator="none",
    decode_accelerator_problem="videos cannot be decoded on a GPU here: no NVIDIA driver",
)
METRICS = """\
# HELP clipserve_requests_total Requests by route and status.
# TYPE clipserve_requests_total counter
clipserve_requests_total{route="/classify",status="200"} 42.0
"""
