"""One file of a published version, read once: what is checked are the bytes that were read, whatever happens on the disk later.

    repository (may be a link)
    └── name/version        a link may lead to another place in the repository
        └── file            a link may lead to another place in the version's own folder: so Kubernetes mounts its volumes

What leads further, has a second name (a hard link: somebody may change it there), or is no file at all (a pipe would never
end) is refused.
"""

import os
import stat
from pathlib import Path

from app.inference.model_refused import ModelRefused


def read_published_file(version_folder: Path, file: str, max_bytes: int) -> bytes:
    """The bytes of ``repository/name/version/file``.

    Raises: ModelRefused: it cannot be read, is larger than ``max_bytes``, or is not a plain file of its version.
    """
    title = f"{version_folder.parent.name}/{version_folder.name}"
    try:
        path = _real_path(version_folder, file, title)
        with open(path, "rb", opener=_without_waiting) as opened:
            facts = os.fstat(opened.fileno())
            _check_plain(facts, max_bytes, file, title)
            return opened.read(facts.st_size)
    except OSError as problem:
        raise ModelRefused(title, f"{file} cannot be read: {problem.strerror}") from problem


def _real_path(version_folder: Path, file: str, title: str) -> str:
    """Raises: OSError. ModelRefused: a link leads out."""
    repository = os.path.realpath(version_folder.parent.parent, strict=True)
    folder = os.path.realpath(version_folder, strict=True)
    path = os.path.realpath(version_folder / file, strict=True)
    if not Path(folder).is_relative_to(repository):
        raise ModelRefused(title, "its folder is a link that leads out of the repository")
    if not Path(path).is_relative_to(folder):
        raise ModelRefused(title, f"{file} is a link that leads out of the version's folder")
    return path


def _without_waiting(path: str, flags: int) -> int:
    """A pipe without a writer would keep the caller for ever."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)


def _check_plain(facts: os.stat_result, max_bytes: int, file: str, title: str) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise ModelRefused(title, f"{file} is not a regular file")
    if facts.st_nlink > 1:
        raise ModelRefused(title, f"{file} has a second name (a hard link); copy it")
    if facts.st_size > max_bytes:
        raise ModelRefused(title, f"{file} is larger than {max_bytes} bytes")
