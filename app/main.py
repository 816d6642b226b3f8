"""The application: settings in, FastAPI out. The server listens at once and answers 503 until its models are proven."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import Depends, FastAPI

from app import __version__
from app.api import classify, classify_batch, health, metrics, model_management, models, timeline
from app.api.api_keys import ApiKeys
from app.api.auth import require_api_key
from app.api.dependencies import Service
from app.api.page import page_router
from app.api.problems import add_problem_handlers
from app.api.reference import DocumentedAPI
from app.api.v2 import routes as open_inference_protocol
from app.inference.admission import Admission
from app.inference.classify import Classifier
from app.inference.decoder import Decoder
from app.inference.model_loading import ModelLoader
from app.inference.readiness import Readiness
from app.inference.repository_poll import RepositoryPoll
from app.inference.served import ServedModels
from app.inference.startup import start_models
from app.inference.timeline import Timelines
from app.inference.video_file import check_temporary_folder
from app.middleware import add_middleware
from app.observability import logs
from app.observability.metrics import BUILD
from app.policies import admission_policy, batch_limits, decode_policy, model_start, timeline_policy, upload_limits
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
    decoder = Decoder(decode_policy(settings), readiness.meet)
    classifier = Classifier(served, decoder, Admission(admission_policy(settings)), readiness)
    models_wanted = model_start(settings)
    loader = ModelLoader(models_wanted, served, decoder, readiness, settings.drain_seconds)
    poll = RepositoryPoll(loader, models_wanted, settings.model_poll_seconds) if settings.model_poll_seconds else None
    api_keys = ApiKeys((key.get_secret_value() for key in settings.api_keys), settings.api_keys_file)
    tracing = _tracing(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.start = asyncio.create_task(start_models(models_wanted, served, decoder, readiness))
        followers = [asyncio.create_task(api_keys.watch()), asyncio.create_task(_follow_repository(app.state.start, poll))]
        try:
            yield
        finally:
            app.state.start.cancel()
            for follower in followers:
                follower.cancel()
            await asyncio.gather(app.state.start, *followers, return_exceptions=True)
            await loader.close()
            await served.close()
            await decoder.close()
            if tracing:
                await tracing.close()

    app = _api(settings, api_keys, lifespan)
    app.state.service = Service(
        classifier,
        upload_limits(settings),
        settings.request_timeout_ms,
        settings.max_queue_size,
        batch_limits(settings),
        Timelines(classifier, timeline_policy(settings)),
        api_keys,
        loader,
        settings.model_management == "on",
    )
    BUILD.info({"version": __version__})
    for module in (classify, classify_batch, timeline, models, model_management, health, open_inference_protocol):
        app.include_router(module.router)
    _add_reference(app, settings)
    add_problem_handlers(app)
    add_middleware(app, settings, readiness, tracing)
    return app


def _api(settings: Settings, api_keys: ApiKeys, lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]) -> FastAPI:
    """An application without routes."""
    has_docs = settings.docs == "on"
    return DocumentedAPI(
        asks_for_keys=api_keys.are_asked_for,
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


def _add_reference(app: FastAPI, settings: Settings) -> None:
    """The page, and what it links to where it is not closed."""
    links = {"/docs": "API"} if settings.docs == "on" else {}
    if settings.metrics != "off":
        links[metrics.PATH] = "Metrics"
        app.include_router(metrics.metrics_router([Depends(require_api_key)] if settings.metrics == "on" else []))
    app.include_router(page_router(links))


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


async def _follow_repository(start: "asyncio.Task[None]", poll: RepositoryPoll | None) -> None:
    """Once the server has started; what keeps it from that is told by ``start`` itself."""
    await asyncio.wait([start])
    if poll and not start.cancelled() and not start.exception():
        await poll.run()


def _check_room_for_uploads(settings: Settings) -> None:
    """Raises: CommandError: nothing can be written to the temporary folder."""
    folder = check_temporary_folder()
    most_bytes = (admission_policy(settings).max_videos + settings.max_timelines) * settings.max_upload_bytes
    free_bytes = shutil.disk_usage(folder).free
    log = logs.info if most_bytes <= free_bytes else logs.warning
    log("uploads", temporary_folder=folder, most_bytes=most_bytes, free_bytes=free_bytes)
