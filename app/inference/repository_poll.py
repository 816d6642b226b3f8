"""Looks at the model repository from time to time and follows it: what is published is served, what is removed is not.

    new version      loaded, and the default one unless another was chosen; where only the newest is wanted, older ones go then
    broken version   tried once, and again when its files change
    removed version  unloaded once it was missed twice in a row
    nothing at all   nothing changes: that is rather a volume that is not mounted than a wish

What was unloaded on request stays so until it is loaded on request.
"""

import asyncio

from app.errors import Draining, ModelRejected, NotReady, UnknownModel
from app.inference.model_loading import ModelLoader
from app.inference.repository import Fingerprint, published_versions
from app.inference.startup import ModelStart
from app.observability import logs

Key = tuple[str, int]


class RepositoryPoll:
    """Follows one repository. Used from one event loop; the disk is read in a thread."""

    def __init__(self, loader: ModelLoader, start: ModelStart, seconds: float) -> None:
        self._loader, self._start, self._seconds = loader, start, seconds
        self._refused: dict[Key, Fingerprint] = {}
        self._missing: set[Key] = set()
        self._trouble: str | None = None

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._seconds)
            try:
                await self.look()
            except (Draining, NotReady):
                continue
            except Exception:  # noqa: BLE001 one look that fails must not be the last
                logs.exception("model_poll_failed")

    async def look(self) -> None:
        """Compare the repository with what is served, once, and act on it.

        Raises: Draining, NotReady: models cannot be loaded now.
        """
        self._loader.readiness.check_open_to_models()
        published = await self._published()
        if published is None:
            return
        self._loader.put_aside &= {(name, version) for name, versions in published.items() for version in versions}
        served_names = {model.manifest.name for model in self._loader.served}
        for name in sorted(published.keys() | served_names):
            await self._follow(name, published.get(name, {}))

    async def _published(self) -> dict[str, dict[int, Fingerprint]] | None:
        """What is on the disk; None, said once, where it cannot be read or holds nothing."""
        trouble, published = None, None
        try:
            published = await asyncio.to_thread(published_versions, self._start.repository)
        except OSError as problem:
            trouble = f"it cannot be read: {problem.strerror}"
        else:
            if not any(published.values()):
                trouble, published = "it holds no model", None
        if trouble and trouble != self._trouble:
            logs.warning("model_repository", problem=trouble)
        self._trouble = trouble
        return published

    async def _follow(self, name: str, published: dict[int, Fingerprint]) -> None:
        """What is new comes before what is old goes."""
        loaded = await self._load(name, published)
        leaving = self._gone(name, published)
        if loaded and not self._start.every_version:
            leaving |= {version for version in self._loader.served.version_numbers(name) if version < max(loaded)} - {
                self._loader.served.chosen_version(name)
            }
        for version in sorted(leaving):
            await self._unload(name, version)

    async def _load(self, name: str, published: dict[int, Fingerprint]) -> list[int]:
        """Load the newest version that can be served, or every one; return those that were not served before."""
        loaded = []
        for version in sorted(published, reverse=True):
            key, fingerprint = (name, version), published[version]
            if self._refused.get(key) == fingerprint:
                continue
            if version not in self._loader.served.version_numbers(name) and key not in self._loader.put_aside:
                if not await self._is_loaded(key, fingerprint):
                    continue
                loaded.append(version)
            if not self._start.every_version:
                break
        return loaded

    async def _is_loaded(self, key: Key, fingerprint: Fingerprint) -> bool:
        try:
            await self._loader.load(*key)
        except ModelRejected:
            self._refused[key] = fingerprint
            return False
        except UnknownModel:  # it went while we looked
            return False
        except Exception:  # noqa: BLE001 a fault of ours: the others are followed all the same, and this one not tried again
            logs.exception("model_not_followed", model="/".join(map(str, key)))
            self._refused[key] = fingerprint
            return False
        self._refused.pop(key, None)
        return True

    def _gone(self, name: str, published: dict[int, Fingerprint]) -> set[int]:
        """Served versions that were not there twice in a row: somebody may be about to put another one in the place."""
        missing = {(name, version) for version in self._loader.served.version_numbers(name) if version not in published}
        gone = missing & self._missing
        self._missing = {key for key in self._missing if key[0] != name} | missing
        return {version for _, version in gone}

    async def _unload(self, name: str, version: int) -> None:
        try:
            await self._loader.unload(name, version)
        except UnknownModel:  # somebody else was faster
            return
        self._loader.put_aside.discard((name, version))
