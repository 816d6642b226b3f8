"""Models come and go while the server serves: a version is proven before it is found, and answers who found it before it goes.

    load     read and checked -> engine, warmed -> golden clip -> served      whatever fails, what is served stays served
    unload   no longer found -> the requests inside are answered -> closed

What changes one model is done one after the other; two calls that load the same version share one load.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from app.errors import ModelRejected, UnknownModel
from app.inference.decoder import Decoder
from app.inference.model_refused import ModelRefused, NotPublished
from app.inference.readiness import Readiness
from app.inference.repository import PublishedModel, published_model
from app.inference.served import ServedModel, ServedModels
from app.inference.startup import ModelStart, open_model
from app.observability import logs
from clips.errors import CommandError

T = TypeVar("T")

_MOST_OF_A_CAUSE = 500
"""Characters of a refusal that a client reads; a graph may be as wordy as it likes."""


class ModelLoader:
    """Loads and unloads versions. Used from one event loop; engines are made in threads, so that nobody waits for them."""

    def __init__(
        self, start: ModelStart, served: ServedModels, decoder: Decoder, readiness: Readiness, drain_seconds: float
    ) -> None:
        self.served, self.readiness = served, readiness
        self.put_aside: set[tuple[str, int]] = set()
        """Versions that were unloaded and not loaded again: they may still be on the disk."""
        self._start, self._decoder, self._drain_seconds = start, decoder, drain_seconds
        self._loads: dict[tuple[str, int], asyncio.Task[ServedModel]] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._one_engine = asyncio.Lock()
        """Making one takes all processors, and the memory of a model."""
        self._tasks: set[asyncio.Task[Any]] = set()

    async def load(self, name: str, version: int | None = None) -> ServedModel:
        """Serve a version, or without a number the newest on the disk; what is served already is returned as it is.

        Goes on when the caller leaves. Raises: Draining, NotReady, UnknownModel, ModelRejected.
        """
        self.readiness.check_open_to_models()
        if version in self.served.version_numbers(name):
            return self.served.find(name, version)
        try:
            published = await asyncio.to_thread(published_model, self._start.repository, name, version)
        except NotPublished:
            raise UnknownModel("The repository holds no such version of this model.") from None
        except ModelRefused as refusal:
            raise _rejected(name, refusal) from refusal
        key = (name, published.manifest.version)
        if key not in self._loads:
            self._loads[key] = self._keep(self._load(published))
            self._loads[key].add_done_callback(lambda _: self._loads.pop(key))
        return await asyncio.shield(self._loads[key])

    async def unload(self, name: str, version: int | None = None) -> list[int]:
        """Serve a version, or without a number all of the model, no longer. Their numbers, once they are gone.

        Requests that found them are answered first, for as long as the drain time allows. Goes on when the caller leaves.

        Raises: Draining, NotReady, UnknownModel.
        """
        self.readiness.check_open_to_models()
        return await asyncio.shield(self._keep(self._unload(name, version)))

    async def close(self) -> None:
        """Give up what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _load(self, published: PublishedModel) -> ServedModel:
        manifest = published.manifest
        async with self._turn(manifest.name):
            if manifest.version in self.served.version_numbers(manifest.name):
                return self.served.find(manifest.name, manifest.version)
            model = await self._open(published)
            self.served.add(model)
            self.put_aside.discard((manifest.name, manifest.version))
            self.readiness.is_served()
            return model

    async def _open(self, published: PublishedModel) -> ServedModel:
        try:
            async with self._one_engine:
                return await open_model(published, self._start, self._decoder)
        except CommandError as refusal:
            raise _rejected(published.title, refusal) from refusal

    async def _unload(self, name: str, version: int | None) -> list[int]:
        async with self._turn(name):
            models = self.served.take(name, version)
            if next(iter(self.served), None) is None:
                self.readiness.is_empty()
            self.put_aside |= {(name, model.manifest.version) for model in models}
            await asyncio.gather(*(model.retire(self._drain_seconds) for model in models))
        for model in models:
            logs.info("model_unloaded", model=model.published.title)
        return sorted(model.manifest.version for model in models)

    def _turn(self, name: str) -> asyncio.Lock:
        """The lock of a model; it is forgotten once nobody holds it or waits for it."""
        return self._turns.setdefault(name, asyncio.Lock())

    def _keep(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task that its callers may leave."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # read, should nobody wait for it any more
        return task


def _rejected(title: str, refusal: CommandError) -> ModelRejected:
    logs.warning("model_refused", model=title, reason=str(refusal))
    cause = refusal.cause if isinstance(refusal, ModelRefused) else str(refusal)
    return ModelRejected(f"The version was not loaded: {cause[:_MOST_OF_A_CAUSE]}.")
