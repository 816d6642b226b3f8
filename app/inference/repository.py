"""The published models in a folder: ``<name>/<integer version>/manifest.json`` with its variants and golden clip."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from clips import Manifest
from clips.errors import CommandError
from clips.manifest import MANIFEST_FILE, Variant


@dataclass(frozen=True)
class PublishedModel:
    """One version of a model on disk."""

    folder: Path
    manifest: Manifest

    @property
    def title(self) -> str:
        """``name/version``, as logs and messages call it."""
        return f"{self.manifest.name}/{self.manifest.version}"

    @property
    def golden_path(self) -> Path:
        """The small video that comes with the model."""
        return self.folder / self.manifest.golden.file

    def read_variant(self, variant: Variant) -> bytes:
        """The ONNX file. The bytes that were checked are the bytes that are returned: a later change on disk cannot matter.

        Raises: CommandError: it cannot be read, or is not the file that was published.
        """
        return self._read(variant.file, variant.sha256)

    def read_golden(self) -> bytes:
        """The golden video. Raises: CommandError: as ``read_variant``."""
        return self._read(self.manifest.golden.file, self.manifest.golden.sha256)

    def _read(self, file: str, sha256: str) -> bytes:
        try:
            data = (self.folder / file).read_bytes()
        except OSError as problem:
            raise CommandError(f"{self.folder / file} cannot be read: {problem.strerror}") from problem
        if hashlib.sha256(data).hexdigest() != sha256:
            raise CommandError(
                f"{self.folder / file} is not the file that was published: its SHA-256 differs from {MANIFEST_FILE}"
            )
        return data


def published_models(repository: Path, every_version: bool = False) -> list[PublishedModel]:
    """The newest version of each model (or every one), by name and rising version.

    Raises: CommandError: the folder is missing or holds no model, or a manifest is not valid.
    """
    if not repository.is_dir():
        raise CommandError(
            f"there is no model repository at {repository}; name one with --model-repository or CLIPSERVE_MODEL_REPOSITORY"
        )
    models = [model for name in sorted(repository.iterdir()) if name.is_dir() for model in _versions(name, every_version)]
    if not models:
        raise CommandError(
            f"no model is published in {repository}: it holds no <name>/<version>/{MANIFEST_FILE}; `clipserve export` makes one"
        )
    return models


def _versions(name: Path, every_version: bool) -> list[PublishedModel]:
    """Versions are integers without leading zeros: 2 comes before 10, and other folders are not versions."""
    found = (p for p in name.iterdir() if p.name.isdecimal() and str(int(p.name)) == p.name and (p / MANIFEST_FILE).is_file())
    versions = sorted(found, key=lambda p: int(p.name))
    return [_read_model(folder) for folder in (versions if every_version else versions[-1:])]


def _read_model(folder: Path) -> PublishedModel:
    try:
        manifest = Manifest.read(folder)
    except OSError as problem:
        raise CommandError(f"{folder / MANIFEST_FILE} cannot be read: {problem.strerror}") from problem
    except ValidationError as problem:
        first = problem.errors()[0]
        where = "".join(f"{part}: " for part in first["loc"])
        raise CommandError(f"{folder / MANIFEST_FILE} is not valid: {where}{first['msg']}") from problem
    if (manifest.name, str(manifest.version)) != (folder.parent.name, folder.name):
        raise CommandError(f"{folder / MANIFEST_FILE} says it is {manifest.name}/{manifest.version}, but lies elsewhere")
    return PublishedModel(folder, manifest)
