"""The arguments of commands that make a run folder: a new run with a name and settings, or one that goes on."""

import argparse
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from clips.errors import UsageError
from training.config_file import read_config_file
from training.flags import chosen_settings, wrong_setting
from training.repository import check_model_name
from training.run_folder import RunFolder, check_resumable

Settings = TypeVar("Settings", bound=BaseModel)

_MAY_CHANGE = {"device", "workers"}
"""In a run that goes on: only where to compute."""


def add_run_arguments(parser: argparse.ArgumentParser, given: str, in_words: str, named: str = "run") -> None:
    """All but the settings. ``given``: the argument without a flag, what the run learns from. ``named``: what --name is of."""
    parser.add_argument(given, nargs="?", metavar=given.upper(), help=in_words)
    parser.add_argument("--name", help=f"of the {named}: small letters, digits, - and _")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings as TOML; flags count more")
    parser.add_argument(
        "--print-config", action="store_true", help="print the settings of the run as a file for --config, and stop"
    )
    parser.add_argument("--resume", type=Path, metavar="RUN_FOLDER", help="go on with an interrupted run, with its settings")
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="FOLDER", help="where run folders go [runs]")


def chosen_run(
    args: argparse.Namespace, settings: type[Settings], given: str, command: str
) -> tuple[RunFolder | None, Settings]:
    """Of ``clipserve pretrain`` and ``distill``: the folder of a run that goes on, None for a new one; and the settings.

    Raises: UsageError: the arguments do not fit. CommandError: the run is complete.
    """
    return _resumed(args, settings, given) if args.resume else (None, _new(args, settings, given, command))


def _new(args: argparse.Namespace, settings: type[Settings], given: str, command: str) -> Settings:
    """Defaults, then the file, then the flags."""
    source, name = getattr(args, given), args.name
    if args.print_config:
        source, name = source or given.upper(), name or "name"
    if not source or not name:
        raise UsageError(f"give {given.upper()} and --name, or --resume RUN_FOLDER")
    check_model_name(name)
    chosen = read_config_file(args.config, settings, command) if args.config else {}
    chosen |= chosen_settings(args, settings)
    try:
        return settings(**{**chosen, "name": name, given: source})
    except ValidationError as problem:
        raise wrong_setting(problem) from problem


def _resumed(args: argparse.Namespace, settings: type[Settings], given: str) -> tuple[RunFolder, Settings]:
    """Only where to compute may change; everything else comes from the run."""
    folder = RunFolder(args.resume)
    config = folder.settings(settings)
    check_resumable(folder)
    chosen = chosen_settings(args, settings)
    fixed = sorted(chosen.keys() - _MAY_CHANGE)
    if fixed or getattr(args, given) or args.name or args.config:
        what = fixed[0] if fixed else f"{given.upper()}, --name and --config"
        raise UsageError(f"--resume takes its settings from the run; leave out {what}")
    return folder, config.model_copy(update=chosen)
