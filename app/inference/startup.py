"""From an empty server to a ready one: repository, sessions, decode processes, golden clips."""

import asyncio
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from app.inference.batcher import BatchPolicy
from app.inference.decoder import Decoder
from app.inference.engine import Engine, RequestedProvider, load_engine
from app.inference.execution_plan import PlanRequest
from app.inference.golden import golden_mismatch
from app.inference.heap import return_free_memory
from app.inference.load_thread import in_load_thread
from app.inference.model_refused import ModelRefused
from app.inference.readiness import Readiness
from app.inference.repository import PublishedModel, published_models
from app.inference.response_cache import ResponseCache
from app.inference.served import ServedModel, ServedModels, check_default_name
from app.observability import logs


@dataclass(frozen=True)
class ModelStart:
    """Which models to serve, and how."""

    repository: Path
    every_version: bool
    default_name: str | None
    provider: RequestedProvider
    plan: PlanRequest
    batching: BatchPolicy
    response_cache_entries: int
    """Answers that each model keeps; 0 for none."""


async def start_models(start: ModelStart, served: ServedModels, decoder: Decoder, readiness: Readiness) -> None:
    """Fill ``served``, start ``decoder`` and become ready, or unhealthy where a golden clip fails.

    Raises: CommandError: no model, a changed file, or a provider that cannot run.
    """
    published = await asyncio.to_thread(published_models, start.repository, start.every_version)
    check_default_name(start.default_name, published)
    decoding = asyncio.create_task(decoder.start())
    try:
        engines = [await _load_engine(model, start) for model in published]
        readiness.become("warming", "golden clips are checked")
    finally:
        await decoding
    mismatches = [await golden_mismatch(model, engine, decoder) for model, engine in zip(published, engines, strict=True)]
    for model, engine in zip(published, engines, strict=True):
        served.add(_serve(model, engine, start))
    reasons = [mismatch for mismatch in mismatches if mismatch]
    readiness.become("unhealthy" if reasons else "ready", *reasons)


async def open_model(model: PublishedModel, start: ModelStart, decoder: Decoder) -> ServedModel:
    """A proven model with its queue, for a server that is ready.

    Raises: CommandError: a changed file, a graph that breaks the contract, a provider that cannot run, a failed golden clip.
    """
    engine = await _load_engine(model, start)
    try:
        if mismatch := await golden_mismatch(model, engine, decoder):
            raise ModelRefused(model.title, mismatch)
    except BaseException:
        await asyncio.to_thread(engine.close)
        raise
    return _serve(model, engine, start)


def _serve(model: PublishedModel, engine: Engine, start: ModelStart) -> ServedModel:
    cache = ResponseCache(start.response_cache_entries)
    return ServedModel.start(model, engine, start.batching, cache, start.plan.processors)


async def _load_engine(model: PublishedModel, start: ModelStart) -> Engine:
    engine = await in_load_thread(partial(load_engine, model, start.provider, start.plan))
    await asyncio.to_thread(return_free_memory)
    logs.info(
        "model_loaded",
        model=model.title,
        precision=engine.variant.precision,
        provider=engine.provider,
        pinning_problem=engine.sessions[0].pinning_problem,
        **asdict(engine.plan),
    )
    return engine
