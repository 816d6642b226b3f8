"""Settings as a flat TOML file with a comment on each: what ``--config`` reads and ``--print-config`` writes."""

import difflib
import json
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from clips.errors import UsageError

GIVEN_APART = frozenset({"name", "dataset", "videos", "data"})
"""Fields of a run that are arguments of the command."""


def read_config_file(file: Path, model: type[BaseModel], command: str) -> dict[str, Any]:
    """The settings that it names, of those that ``model`` has.

    Raises: UsageError: it cannot be read, or names a field that there is not; the message has the nearest one.
    """
    try:
        settings = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as problem:
        raise UsageError(f"--config {file} cannot be read: {problem.strerror}") from problem
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise UsageError(f"--config {file} is not TOML: {problem}") from problem
    known = model.model_fields.keys() - GIVEN_APART
    for field in settings.keys() - known:
        near = difflib.get_close_matches(field, known, n=1)
        hint = f"; do you mean {near[0]}?" if near else f"; `clipserve {command} --print-config` lists them all"
        raise UsageError(f"--config {file}: there is no setting {field!r}{hint}")
    return settings


def config_text(config: BaseModel, title: str) -> str:
    """All settings but name and data set as such a file, under ``title``: reading it gives the same run."""
    lines = [f"# {title}", ""]
    for field, info in type(config).model_fields.items():
        if field not in GIVEN_APART:
            comment = f"  # {info.description}" if info.description else ""
            lines.append(f"{field} = {json.dumps(getattr(config, field), ensure_ascii=False)}{comment}")
    return "\n".join(lines) + "\n"
