"""The published models in a folder: ``<name>/<integer version>/manifest.json`` with its variants and golden clip."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from app.inference.model_refused import ModelRefused, NotPublished
from app.inference.onnx_file import check_onnx_file
from app.inference.published_file import read_published_file
from clips import Manifest
from clips.errors import CommandError
from clips.manifest import MANIFEST_FILE, Variant

_MAX_MANIFEST_BYTES = 2**20
_MAX_GOLDEN_BYTES = 64 * 2**20
_MAX_MODEL_BYTES = 2**31  # of protobuf

Fingerprint = tuple[tuple[str, int, int, int], ...]
"""Name, inode, size and time of change of each entry of a folder: another one after any change."""


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

        Raises: ModelRefused: it cannot be read, or is not the file that was published.
        """
        data = self._read(variant.file, variant.sha256, _MAX_MODEL_BYTES)
        check_onnx_file(data, self.title)
        return data

    def read_golden(self) -> bytes:
        """The golden video. Raises: ModelRefused: as ``read_variant``."""
        return self._read(self.manifest.golden.file, self.manifest.golden.sha256, _MAX_GOLDEN_BYTES)

    def _read(self, file: str, sha256: str, max_bytes: int) -> bytes:
        data = read_published_file(self.folder, file, max_bytes)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise ModelRefused(
                self.title, f"{file} is not the file that was published: its SHA-256 differs from {MANIFEST_FILE}"
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


def published_model(repository: Path, name: str, version: int | None = None) -> PublishedModel:
    """One version of a model, or its newest.

    Raises: NotPublished: it is not on the disk. ModelRefused: its manifest is not valid.
    """
    folders = {int(folder.name): folder for folder in version_folders(repository / name)}
    wanted = max(folders, default=None) if version is None else version
    if wanted is None or wanted not in folders:
        title = name if wanted is None else f"{name}/{wanted}"
        raise NotPublished(title, "the repository holds no such version")
    return _read_model(folders[wanted])


def published_versions(repository: Path) -> dict[str, dict[int, Fingerprint]]:
    """Every model and version on the disk, by name and number, with what changes when its files do.

    Raises: OSError: the repository or a folder in it cannot be read.
    """
    return {
        name.name: {int(folder.name): _fingerprint(folder) for folder in version_folders(name)}
        for name in sorted(repository.iterdir())
        if name.is_dir()
    }


def version_folders(name: Path) -> list[Path]:
    """The folders of a model that hold a manifest, by rising version: integers without leading zeros, so 2 is before 10."""
    if not name.is_dir():
        return []
    found = (p for p in name.iterdir() if p.name.isdecimal() and str(int(p.name)) == p.name and (p / MANIFEST_FILE).is_file())
    return sorted(found, key=lambda p: int(p.name))


def _fingerprint(folder: Path) -> Fingerprint:
    with os.scandir(folder) as entries:
        facts = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
    return tuple(sorted((name, fact.st_ino, fact.st_size, fact.st_mtime_ns) for name, fact in facts))


def _versions(name: Path, every_version: bool) -> list[PublishedModel]:
    folders = version_folders(name)
    return [_read_model(folder) for folder in (folders if every_version else folders[-1:])]


def _read_model(folder: Path) -> PublishedModel:
    title = f"{folder.parent.name}/{folder.name}"
    data = read_published_file(folder, MANIFEST_FILE, _MAX_MANIFEST_BYTES)
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as problem:
        first = problem.errors()[0]
        where = "".join(f"{part}: " for part in first["loc"])
        raise ModelRefused(title, f"{MANIFEST_FILE} is not valid: {where[:200]}{first['msg']}") from problem
    if (manifest.name, str(manifest.version)) != (folder.parent.name, folder.name):
        raise ModelRefused(title, f"{MANIFEST_FILE} says it is {manifest.name}/{manifest.version}, but lies elsewhere")
    return PublishedModel(folder, manifest)
