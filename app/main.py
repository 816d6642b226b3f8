"""The application: settings in, FastAPI out. The server listens at once and answers 503 until its models are proven."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import Depends, FastAPI
from fastapi.middleware.cors import CORSMiddleware

from app import __version__
from app.api import classify, health, metrics, models
from app.api.api_keys import ApiKeys
from app.api.auth import require_api_key
from app.api.dependencies import Service, UploadLimits
from app.api.faults import Faults
from app.api.lingering import LingeringClose
from app.api.page import page_router
from app.api.problems import add_problem_handlers
from app.api.requests import RequestMiddleware
from app.api.trusted_hosts import TrustedHosts
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
from app.observability.metrics import BUILD
from app.processors import usable_processors
from app.settings import Settings
from clips.errors import UsageError

if TYPE_CHECKING:
    from app.observability.tracing import Tracing

_DESCRIPTION = "Classifies videos: POST one to `/classify` and get the probability of each label."


def create_app(settings: Settings) -> FastAPI:
    """The server. Its models load in the background once it is started; ``app.state.start`` is that task.

    Raises: CommandError: there is no place for uploads, or the API keys or traces that are asked for cannot be had.
    """
    logs.set_up(settings.log_level)
    _check_room_for_uploads(settings)
    readiness = Readiness()
    served = ServedModels(settings.default_model)
    decoder = Decoder(_decode_policy(settings))
    classifier = Classifier(served, decoder, Admission(_admission_policy(settings)), readiness)
    api_keys = ApiKeys((key.get_secret_value() for key in settings.api_keys), settings.api_keys_file)
    tracing = _tracing(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.start = asyncio.create_task(start_models(_model_start(settings), served, decoder, readiness))
        watch = asyncio.create_task(api_keys.watch())
        try:
            yield
        finally:
            app.state.start.cancel()
            watch.cancel()
            await asyncio.gather(app.state.start, watch, return_exceptions=True)
            await served.close()
            await decoder.close()
            if tracing:
                await tracing.close()

    has_docs = settings.docs == "on"
    app = FastAPI(
        title="ClipServe",
        description=_DESCRIPTION,
        version=__version__,
        lifespan=lifespan,
        docs_url="/docs" if has_docs else None,
        openapi_url="/openapi.json" if has_docs else None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,  # an address has one spelling; the redirect would repeat the Host header
        # FastAPI's own (older versions have none) would export addresses and queries as clients write them
        telemetry={"auto_configure": False, "tracing": False, "metrics": False, "logs": False},
    )
    app.state.service = Service(
        classifier,
        UploadLimits(settings.max_upload_bytes, settings.upload_timeout_seconds, settings.upload_min_bytes_per_second),
        settings.request_timeout_ms,
        api_keys,
    )
    BUILD.info({"version": __version__})
    for module in (classify, models, health):
        app.include_router(module.router)
    _add_reference(app, settings)
    add_problem_handlers(app)
    _add_middleware(app, settings, tracing)
    return app


def _add_reference(app: FastAPI, settings: Settings) -> None:
    """The page, and what it links to where it is not closed."""
    links = {"/docs": "API"} if settings.docs == "on" else {}
    if settings.metrics != "off":
        links[metrics.PATH] = "Metrics"
        app.include_router(metrics.metrics_router([Depends(require_api_key)] if settings.metrics == "on" else []))
    app.include_router(page_router(links))


def _add_middleware(app: FastAPI, settings: Settings, tracing: "Tracing | None") -> None:
    """From the inside out: what is added last sees a request first."""
    scraped = (*health.PROBES, metrics.PATH)
    if settings.trusted_hosts:
        app.add_middleware(TrustedHosts, hosts=settings.trusted_hosts, exempt_paths=scraped)
    app.add_middleware(Faults)
    if settings.cors_origins:
        _allow_origins(app, settings.cors_origins)
    app.add_middleware(RequestMiddleware)
    if tracing:
        from app.observability.tracing import TracedRequests  # noqa: PLC0415 costs nothing where it is not used

        app.add_middleware(TracedRequests, tracing=tracing, untraced_paths=scraped)
    app.add_middleware(LingeringClose)


def _tracing(settings: Settings) -> "Tracing | None":
    """Raises: UsageError: a collector is named, but what it takes to reach it is not installed."""
    if not settings.sends_traces:
        return None
    try:
        from app.observability.tracing import Tracing  # noqa: PLC0415 costs nothing where it is not used
    except ModuleNotFoundError as missing:
        raise UsageError(
            f"OTEL_EXPORTER_OTLP_ENDPOINT asks for traces, and {missing.name} is not installed: "
            "install the extra `tracing` (pip install '.[tracing]'), or unset the variable"
        ) from missing
    return Tracing(__version__)


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
        allow_headers=["Authorization", "Content-Type", "X-API-Key", "X-Request-ID", "traceparent"],
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
