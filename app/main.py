"""The application: settings in, FastAPI out. The server listens at once and answers 503 until its models are proven."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from app.api import classify, classify_batch, health, metrics, models, page
from app.api.auth import digests
from app.api.dependencies import BatchLimits, Service, UploadLimits
from app.api.draining import CloseWhileDraining
from app.api.lingering import LingeringClose
from app.api.problems import add_problem_handlers
from app.api.requests import RequestMiddleware
from app.inference.admission import Admission, AdmissionPolicy
from app.inference.batcher import BatchPolicy
from app.inference.classify import Classifier
from app.inference.decode_policy import DecodePolicy
from app.inference.decoder import Decoder
from app.inference.readiness import Readiness
from app.inference.sandbox.policy import SandboxPolicy
from app.inference.served import ServedModels
from app.inference.session import SessionOptions
from app.inference.startup import ModelStart, start_models
from app.inference.video_file import check_temporary_folder
from app.observability import logs
from app.processors import usable_processors
from app.settings import Settings

_DESCRIPTION = "Classifies videos: POST one to `/classify` and get the probability of each label."


def create_app(settings: Settings) -> FastAPI:
    """The server. Its models load in the background once it is started; ``app.state.start`` is that task.

    Raises: CommandError: there is no place for uploads.
    """
    logs.set_up(settings.log_level)
    _check_room_for_uploads(settings)
    readiness = Readiness()
    served = ServedModels(settings.default_model)
    decoder = Decoder(_decode_policy(settings))
    classifier = Classifier(served, decoder, Admission(_admission_policy(settings)), readiness)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.start = asyncio.create_task(start_models(_model_start(settings), served, decoder, readiness))
        try:
            yield
        finally:
            app.state.start.cancel()
            await asyncio.gather(app.state.start, return_exceptions=True)
            await served.close()
            await decoder.close()

    app = FastAPI(title="ClipServe", description=_DESCRIPTION, version="0.1.0", lifespan=lifespan, redoc_url=None)
    app.state.service = Service(
        classifier,
        UploadLimits(settings.max_upload_bytes, settings.upload_timeout_seconds, settings.upload_min_bytes_per_second),
        settings.request_timeout_ms,
        digests(key.get_secret_value() for key in settings.api_keys),
        BatchLimits(settings.max_batch_files, settings.max_batch_bytes, at_once=_decode_policy(settings).workers),
    )
    for module in (classify, classify_batch, models, health, metrics, page):
        app.include_router(module.router)
    add_problem_handlers(app)
    app.add_middleware(RequestMiddleware)
    if settings.cors_origins:
        _allow_origins(app, settings.cors_origins)
    app.add_middleware(LingeringClose)
    app.add_middleware(CloseWhileDraining, readiness=readiness)
    return app


def _check_room_for_uploads(settings: Settings) -> None:
    """Raises: CommandError: nothing can be written to the temporary folder."""
    folder = check_temporary_folder()
    most_bytes = _admission_policy(settings).max_videos * settings.max_upload_bytes
    free_bytes = shutil.disk_usage(folder).free
    log = logs.info if most_bytes <= free_bytes else logs.warning
    log("uploads", temporary_folder=folder, most_bytes=most_bytes, free_bytes=free_bytes)


def _admission_policy(settings: Settings) -> AdmissionPolicy:
    return AdmissionPolicy(settings.max_queue_size, settings.max_uploads)


def _allow_origins(app: FastAPI, origins: tuple[str, ...]) -> None:
    app.add_middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type", "X-API-Key", "X-Request-ID"],
        expose_headers=["Retry-After", "Server-Timing", "X-Request-ID"],
    )


def _decode_policy(settings: Settings) -> DecodePolicy:
    return DecodePolicy(
        workers=settings.decode_workers or usable_processors(),
        timeout_seconds=settings.decode_timeout_seconds,
        limits=settings.decode_limits,
        sandbox=SandboxPolicy(settings.decode_sandbox, settings.decode_cpu_seconds, settings.decode_memory_bytes),
        accelerator=settings.decode_accelerator,
        environment=settings.decode_environment,
        recycle_clips=settings.decode_recycle_clips,
    )


def _model_start(settings: Settings) -> ModelStart:
    return ModelStart(
        repository=Path(settings.model_repository),
        every_version=settings.model_versions == "all",
        default_name=settings.default_model,
        provider=settings.execution_provider,
        session=SessionOptions(settings.intra_op_threads or usable_processors(), settings.max_batch_size),
        batching=BatchPolicy(
            settings.max_batch_size, settings.max_queue_delay_ms / 1000, _admission_policy(settings).max_videos
        ),
    )
