"""The models that are served: each with its engine and its queue, found by name and version.

named neither   -> the default model    the one of the settings, else the first that was loaded and is still served
named no version -> its default version  the one that was chosen, else the newest that is served
"""

import asyncio
from collections.abc import AsyncIterator, Hashable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from time import monotonic

from app.errors import DeadlineExceeded, Draining, ModelUnloaded, UnknownModel
from app.inference.batcher import Batcher, BatchPolicy
from app.inference.engine import Engine
from app.inference.fair_pool import FairPool
from app.inference.repository import PublishedModel
from app.inference.response_cache import ResponseCache
from app.observability import metrics
from clips import Manifest
from clips.errors import CommandError


@dataclass(eq=False)
class ServedModel:
    """A loaded model and the queue in front of it. Used from one event loop."""

    published: PublishedModel
    engine: Engine
    batcher: Batcher
    cache: ResponseCache
    """Its answers of late: they end with it."""
    turns: FairPool[int] | None = None
    """What a video has from decoding to its answer; None where any number may."""
    _users: int = 0
    _unused: asyncio.Event = field(default_factory=asyncio.Event)
    _is_unloaded: bool = False

    @property
    def manifest(self) -> Manifest:
        """What was published."""
        return self.published.manifest

    @classmethod
    def start(
        cls, published: PublishedModel, engine: Engine, policy: BatchPolicy, cache: ResponseCache, processors: int
    ) -> "ServedModel":
        """Put a queue in front of ``engine``, whose plan says how batches are made. Needs a running event loop.

        Where decoding and the model share ``processors``, and no batch is to be filled, only one video more than those is under
        way at a time: one that is begun is finished before others are, which answers most of them sooner.
        """
        manifest = published.manifest
        policy = replace(policy, lanes=engine.plan.lanes, max_batch_size=engine.plan.max_batch_size)
        batcher = Batcher(published.title, manifest.clip_spec.shape, len(manifest.labels), engine.run, policy)
        model = cls(published, engine, batcher, cache)
        if engine.provider == "cpu" and engine.plan.max_batch_size == 1:
            model.turns = FairPool()
            for turn in range(processors + 1):
                model.turns.put(turn)
        metrics.MODEL_INFO.labels(*model.info).set(1)
        return model

    @property
    def info(self) -> tuple[str, str, str, str]:
        """Name, version, precision and provider: the labels of its metric."""
        return self.manifest.name, str(self.manifest.version), self.engine.variant.precision, self.engine.provider

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """While it lasts, ``retire`` waits. A request is in it from the moment it found the model to its answer.

        Raises: ModelUnloaded: the model is gone, or went because the block took too long.
        """
        if self._is_unloaded:
            raise ModelUnloaded
        self._users += 1
        self._unused.clear()
        try:
            yield
        except Draining:
            raise (ModelUnloaded if self._is_unloaded else Draining) from None
        finally:
            self._users -= 1
            if not self._users:
                self._unused.set()

    @asynccontextmanager
    async def turn(self, deadline: float, flow: Hashable) -> AsyncIterator[None]:
        """What a video needs from decoding to its answer. Those of one ``flow`` take turns with the others.

        Raises: DeadlineExceeded: it did not come in time. ModelUnloaded: the model went meanwhile.
        """
        if self.turns is None:
            yield
            return
        try:
            async with asyncio.timeout(deadline - monotonic()):
                turn = await self.turns.get(flow)
        except TimeoutError:
            raise DeadlineExceeded from None
        try:
            if self._is_unloaded:
                raise ModelUnloaded
            yield
        finally:
            self.turns.put(turn)

    async def retire(self, timeout_seconds: float) -> None:
        """Close once the requests inside are answered, or the time is up. Call it when nobody can find the model any more."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                while self._users:
                    await self._unused.wait()
        self._is_unloaded = True
        await self.close()

    async def close(self) -> None:
        """Answer whoever waits, and let the engine go."""
        await self.batcher.close()
        await asyncio.to_thread(self.engine.close)
        metrics.forget_model(self.published.title, *self.info)


class ServedModels:
    """All of them; empty until they are loaded."""

    def __init__(self, default_name: str | None) -> None:
        self._models: dict[str, dict[int, ServedModel]] = {}
        self._chosen: dict[str, int] = {}
        self._named_default = default_name
        self._first_name: str | None = None

    def __iter__(self) -> Iterator[ServedModel]:
        """By name and rising version."""
        return (self._models[name][version] for name in sorted(self._models) for version in sorted(self._models[name]))

    @property
    def default_name(self) -> str | None:
        """The model that answers a request which names none: it stays so when others are loaded."""
        return self._named_default or self._first_name

    def version_numbers(self, name: str) -> set[int]:
        """The served versions of a model; none where there is no such model."""
        return set(self._models.get(name, ()))

    def default_version(self, name: str) -> int:
        """The version that answers a request which names none. Raises: UnknownModel: none of the model is served."""
        return self._chosen.get(name) or max(self.versions(name))

    def chosen_version(self, name: str) -> int | None:
        """The version that was chosen as default; None while the newest is."""
        return self._chosen.get(name)

    def choose(self, name: str, version: int | None) -> None:
        """Make a served version the default one of its model, or, with None, whichever is the newest.

        Raises: UnknownModel: it is not served.
        """
        self.find(name, version)
        if version is None:
            self._chosen.pop(name, None)
        else:
            self._chosen[name] = version

    def add(self, model: ServedModel) -> None:
        """Serve one more."""
        self._models.setdefault(model.manifest.name, {})[model.manifest.version] = model
        self._first_name = self._first_name or model.manifest.name

    def take(self, name: str, version: int | None) -> list[ServedModel]:
        """Serve one version, or with None the whole model, no longer: nobody finds what is returned.

        A choice of a default that is taken is forgotten.

        Raises: UnknownModel: it is not served.
        """
        versions = self.versions(name)
        taken = [self.find(name, version)] if version is not None else list(versions.values())
        for model in taken:
            del versions[model.manifest.version]
        if self._chosen.get(name) not in versions:
            self._chosen.pop(name, None)
        if not versions:
            del self._models[name]
        if self._first_name not in self._models:
            self._first_name = min(self._models, default=None)
        return taken

    def find(self, name: str | None = None, version: int | None = None) -> ServedModel:
        """The named or default model, in the given or its default version.

        Raises: UnknownModel: it is not served.
        """
        versions = self.versions(name)
        found = versions.get(self.default_version(self._wanted(name)) if version is None else version)
        if found is None:
            raise UnknownModel("This version of the model is not served; GET /models lists what is.")
        return found

    def versions(self, name: str | None = None) -> dict[int, ServedModel]:
        """The served versions of the named or default model. Raises: UnknownModel: there is none."""
        wanted = self._wanted(name)
        if wanted not in self._models:
            raise UnknownModel("There is no model of that name; GET /models lists what is served.")
        return self._models[wanted]

    def _wanted(self, name: str | None) -> str:
        return (self.default_name or "") if name is None else name

    async def close(self) -> None:
        """Close every model."""
        await asyncio.gather(*(model.close() for model in self))


def check_default_name(default_name: str | None, published: list[PublishedModel]) -> None:
    """Raises: CommandError: the default model is not among those published."""
    names = sorted({model.manifest.name for model in published})
    if default_name is not None and default_name not in names:
        raise CommandError(f"the default model {default_name!r} is not published; there is {', '.join(names)}")
