"""Settings to what each part of the server is told: the only place that knows both."""

from pathlib import Path

from app.api.dependencies import BatchLimits, UploadLimits
from app.inference.admission import AdmissionPolicy
from app.inference.batcher import BatchPolicy
from app.inference.decode_policy import DecodePolicy
from app.inference.execution_plan import PlanRequest
from app.inference.provider_options import GpuOptions
from app.inference.sandbox.policy import SandboxPolicy
from app.inference.startup import ModelStart
from app.inference.timeline import MOST_WINDOWS_AT_ONCE, TimelinePolicy
from app.processors import usable_processors
from app.settings import Settings


def admission_policy(settings: Settings) -> AdmissionPolicy:
    """How many may be inside."""
    workers, processors = decode_policy(settings).workers, usable_processors()
    return AdmissionPolicy(
        settings.max_queue_size,
        settings.max_uploads,
        settings.max_wait_ms / 1000,
        keeps_busy=workers + processors,
        side_by_side=min(workers, processors),
    )


def timeline_policy(settings: Settings) -> TimelinePolicy:
    """What longer videos may cost. Of several decoders one is left to single videos: a group of windows keeps one for long."""
    groups = max(1, decode_policy(settings).workers - 1)
    return TimelinePolicy(groups, settings.max_timelines, settings.max_windows, settings.timeline_timeout_seconds)


def decode_policy(settings: Settings) -> DecodePolicy:
    """What decoding may cost."""
    return DecodePolicy(
        workers=settings.decode_workers or usable_processors(),
        timeout_seconds=settings.decode_timeout_seconds,
        limits=settings.decode_limits,
        sandbox=SandboxPolicy(settings.decode_sandbox, settings.decode_cpu_seconds, settings.decode_memory_bytes),
        accelerator=settings.decode_accelerator,
        environment=settings.decode_environment,
        recycle_clips=settings.decode_recycle_clips,
    )


def model_start(settings: Settings) -> ModelStart:
    """Which models to serve, and how."""
    return ModelStart(
        repository=Path(settings.model_repository),
        every_version=settings.model_versions == "all",
        default_name=settings.default_model,
        provider=settings.execution_provider,
        plan=PlanRequest(
            usable_processors(),
            settings.lanes,
            settings.intra_op_threads,
            settings.max_batch_size,
            GpuOptions(settings.gpu_memory_bytes, settings.cuda_graphs, settings.tf32, cache_folder=_tensorrt_folder(settings)),
            settings.cache_path,
        ),
        batching=BatchPolicy(
            max_queue_delay_seconds=settings.max_queue_delay_ms / 1000,
            max_queue_size=admission_policy(settings).max_videos
            + timeline_policy(settings).groups_at_once * MOST_WINDOWS_AT_ONCE,
        ),
        response_cache_entries=settings.response_cache_entries,
    )


def upload_limits(settings: Settings) -> UploadLimits:
    """What one body may cost."""
    return UploadLimits(settings.max_upload_bytes, settings.upload_timeout_seconds, settings.upload_min_bytes_per_second)


def batch_limits(settings: Settings) -> BatchLimits:
    """What a request with several videos may cost besides."""
    return BatchLimits(settings.max_batch_files, settings.max_batch_bytes)


def _tensorrt_folder(settings: Settings) -> str | None:
    return str(settings.cache_path / "tensorrt") if settings.cache_path else None
