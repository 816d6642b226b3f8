"""The model repository: a version appears by one rename, so that it is complete or absent, and never changes afterwards."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from clips.errors import UsageError
from clips.manifest import ModelName


@contextmanager
def building_folder(repository: Path, name: str) -> Iterator[Path]:
    """A hidden folder beside the versions of ``name``; what is still in it at the end is removed."""
    parent = repository / name
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".building-", dir=parent))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def next_version(repository: Path, name: str) -> int:
    """One more than the newest version; 1 for a new model."""
    return 1 + max((int(entry.name) for entry in (repository / name).glob("*") if entry.name.isdecimal()), default=0)


def release(folder: Path, version: int) -> Path | None:
    """Rename ``folder`` to its version; None where another process has taken the number in the meantime."""
    target = folder.parent / str(version)
    try:
        os.rename(folder, target)  # noqa: PTH104 - os.rename is the call that is atomic and refuses a full folder
    except OSError as problem:
        if problem.errno in {errno.ENOTEMPTY, errno.EEXIST}:
            return None
        raise
    return target


def check_model_name(name: str) -> None:
    """Raises: UsageError: no model can have this name."""
    try:
        TypeAdapter(ModelName).validate_python(name)
    except ValidationError as problem:
        raise UsageError(f"--name {name!r}: use small letters, digits, - and _, 64 at most") from problem
