"""Command-line flags made from the fields of ``TrainingConfig``, so that a setting is declared once."""

import argparse
from typing import Any, Literal, get_args, get_origin

from training.config import TrainingConfig
from training.presets import IN_WORDS, PRESETS

_NOT_FLAGS = {"name", "dataset", "preset"}


def add_preset_flag(parser: argparse.ArgumentParser) -> None:
    """``--preset``, with a line on each."""
    lines = "\n".join(f"{name:<10}{line}" for name, line in IN_WORDS.items())
    group = parser.add_argument_group("presets", f"recipes to start from; every setting below can be changed\n\n{lines}")
    group.add_argument("--preset", choices=list(PRESETS), help="one of them [finetune, or the one of --config]")


def add_config_flags(parser: argparse.ArgumentParser) -> None:
    """One flag per field; a flag that is not given leaves no trace, so that the preset decides."""
    group = parser.add_argument_group("settings (defaults of --preset finetune in brackets)")
    for field, info in TrainingConfig.model_fields.items():
        if field not in _NOT_FLAGS:
            group.add_argument(
                "--" + field.replace("_", "-"),
                default=argparse.SUPPRESS,
                help=f"{info.description} [{info.default}]".replace("%", "%%"),
                **_kind(info.annotation),
            )


def chosen_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given on the command line."""
    return {field: value for field, value in vars(args).items() if field in TrainingConfig.model_fields.keys() - _NOT_FLAGS}


def _kind(annotation: Any) -> dict[str, Any]:
    if annotation is bool:
        return {"action": argparse.BooleanOptionalAction}
    if get_origin(annotation) is Literal:
        return {"choices": get_args(annotation)}
    return {"type": annotation, "metavar": {int: "N", float: "X", str: "WHAT"}[annotation]}
