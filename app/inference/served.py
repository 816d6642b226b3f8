"""The models that are served: each with its engine and its queue, found by name and version."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from app.errors import UnknownModel
from app.inference.batcher import Batcher, BatchPolicy
from app.inference.engine import Engine
from app.inference.repository import PublishedModel
from app.observability import metrics
from clips import Manifest
from clips.errors import CommandError


@dataclass(frozen=True)
class ServedModel:
    """A loaded model and the queue in front of it."""

    published: PublishedModel
    engine: Engine
    batcher: Batcher

    @property
    def manifest(self) -> Manifest:
        """What was published."""
        return self.published.manifest

    @classmethod
    def start(cls, published: PublishedModel, engine: Engine, policy: BatchPolicy) -> "ServedModel":
        """Put a queue in front of ``engine``. Needs a running event loop."""
        manifest = published.manifest
        batcher = Batcher(published.title, manifest.clip_spec.shape, len(manifest.labels), engine.run, policy)
        model = cls(published, engine, batcher)
        metrics.MODEL_INFO.labels(*model.info).set(1)
        return model

    @property
    def info(self) -> tuple[str, str, str, str]:
        """Name, version, precision and provider: the labels of its metric."""
        return self.manifest.name, str(self.manifest.version), self.engine.variant.precision, self.engine.provider

    async def close(self) -> None:
        """Answer whoever waits, and let the engine go."""
        await self.batcher.close()
        self.engine.close()
        metrics.forget_model(self.published.title, *self.info)


class ServedModels:
    """All of them; empty until they are loaded."""

    def __init__(self, default_name: str | None) -> None:
        self._models: dict[str, dict[int, ServedModel]] = {}
        self._default_name = default_name

    def __iter__(self) -> Iterator[ServedModel]:
        return (model for versions in self._models.values() for model in versions.values())

    @property
    def default_name(self) -> str | None:
        """The model that answers a request which names none."""
        return self._default_name or next(iter(self._models), None)

    def add(self, model: ServedModel) -> None:
        """Serve one more."""
        self._models.setdefault(model.manifest.name, {})[model.manifest.version] = model

    def find(self, name: str | None = None, version: int | None = None) -> ServedModel:
        """The named or default model, in the given or newest version.

        Raises: UnknownModel: it is not served.
        """
        versions = self.versions(name)
        found = versions.get(max(versions) if version is None else version)
        if found is None:
            raise UnknownModel("This version of the model is not served; GET /models lists what is.")
        return found

    def versions(self, name: str | None = None) -> dict[int, ServedModel]:
        """The served versions of the named or default model. Raises: UnknownModel: there is none."""
        wanted = self.default_name if name is None else name
        if wanted is None or wanted not in self._models:
            raise UnknownModel("There is no model of that name; GET /models lists what is served.")
        return self._models[wanted]

    async def close(self) -> None:
        """Close every model."""
        await asyncio.gather(*(model.close() for model in self))


def check_default_name(default_name: str | None, published: list[PublishedModel]) -> None:
    """Raises: CommandError: the default model is not among those published."""
    names = sorted({model.manifest.name for model in published})
    if default_name is not None and default_name not in names:
        raise CommandError(f"the default model {default_name!r} is not published; there is {', '.join(names)}")
