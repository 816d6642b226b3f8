"""Files that a command leaves behind: whether they can be written is known before the work, and none is ever there by half."""

import os
from pathlib import Path

from clips.errors import CommandError, UsageError


def check_output_file(file: Path | None, flag: str) -> None:
    """Before hours of work. Raises: UsageError: ``file``, the value of ``flag``, cannot be written."""
    if file is None or _is_special(file):
        return
    if file.is_dir():
        raise UsageError(f"{flag} {file} is a folder; give the name of a file")
    if not file.parent.is_dir():
        raise UsageError(f"{flag} {file}: there is no folder {file.parent}")
    if not os.access(file.parent, os.W_OK):
        raise UsageError(f"{flag} {file}: nothing can be written in {file.parent}")


def check_output_folder(folder: Path, flag: str) -> None:
    """Before hours of work. Raises: UsageError: nothing can be written in ``folder``, which need not be there yet."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise UsageError(f"{flag} {folder}: nothing can be written there")


def write_whole(file: Path, text: str) -> None:
    """By one atomic rename: what is stopped in the middle leaves the file that was there, or none.

    A link stays one, and what is no file, such as ``/dev/stdout``, is written to.
    Raises: CommandError: there is no room for it, or no right to write there.
    """
    if _is_special(file):
        file.write_text(text, encoding="utf-8")
        return
    file = file.resolve()
    unfinished = file.with_name(file.name + ".tmp")
    try:
        unfinished.write_text(text, encoding="utf-8", newline="")
        unfinished.replace(file)
    except OSError as problem:
        unfinished.unlink(missing_ok=True)
        raise CommandError(f"{file} cannot be written: {problem.strerror}; what was there before is kept") from problem


def _is_special(file: Path) -> bool:
    """A device or a pipe."""
    return file.exists() and not file.is_file() and not file.is_dir()
