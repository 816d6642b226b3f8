"""Settings as a flat TOML file with a comment on each: what ``--config`` reads and ``--print-config`` writes."""

import difflib
import json
import tomllib
from pathlib import Path
from typing import Any

from clips.errors import UsageError
from training.config import TrainingConfig

_GIVEN_APART = ("name", "dataset")
"""Fields of a run that are arguments of the command."""


def read_config_file(file: Path) -> dict[str, Any]:
    """The settings that it names.

    Raises: UsageError: it cannot be read, or names a field that there is not; the message has the nearest one.
    """
    try:
        settings = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as problem:
        raise UsageError(f"--config {file} cannot be read: {problem.strerror}") from problem
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise UsageError(f"--config {file} is not TOML: {problem}") from problem
    known = TrainingConfig.model_fields.keys() - set(_GIVEN_APART)
    for field in settings.keys() - known:
        near = difflib.get_close_matches(field, known, n=1)
        hint = f"; do you mean {near[0]}?" if near else "; `clipserve train --print-config` lists them all"
        raise UsageError(f"--config {file}: there is no setting {field!r}{hint}")
    return settings


def config_text(config: TrainingConfig) -> str:
    """All settings but name and data set as such a file: reading it gives the same run."""
    lines = [f"# clipserve train FOLDER --name NAME --config THIS_FILE     (from the preset {config.preset})", ""]
    for field, info in TrainingConfig.model_fields.items():
        if field not in _GIVEN_APART:
            comment = f"  # {info.description}" if info.description else ""
            lines.append(f"{field} = {json.dumps(getattr(config, field), ensure_ascii=False)}{comment}")
    return "\n".join(lines) + "\n"
