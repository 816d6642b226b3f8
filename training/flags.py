"""Command-line flags made from the fields of a run's settings, so that a setting is declared once."""

import argparse
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError

from clips.errors import UsageError
from training.config_file import GIVEN_APART

_NO_FLAGS = GIVEN_APART | {"preset"}
"""Fields that are arguments of the command, or chosen with a flag of their own."""


def add_config_flags(parser: argparse.ArgumentParser, settings: type[BaseModel], title: str) -> None:
    """One flag per field; a flag that is not given leaves no trace, so that a preset or a file decides."""
    group = parser.add_argument_group(title)
    for field, info in settings.model_fields.items():
        if field not in _NO_FLAGS:
            group.add_argument(
                "--" + field.replace("_", "-"),
                default=argparse.SUPPRESS,
                help=f"{info.description} [{info.default}]".replace("%", "%%"),
                **_kind(info.annotation),
            )


def chosen_settings(args: argparse.Namespace, settings: type[BaseModel]) -> dict[str, Any]:
    """Those that were given on the command line."""
    return {field: value for field, value in vars(args).items() if field in settings.model_fields.keys() - _NO_FLAGS}


def wrong_setting(problem: ValidationError) -> UsageError:
    """The first thing that is wrong, under the name of its flag."""
    first = problem.errors()[0]
    flag = "--" + str(first["loc"][0]).replace("_", "-") if first["loc"] else "the settings"
    return UsageError(f"{flag}: {first['msg']} (given: {first['input']!r})")


def _kind(annotation: Any) -> dict[str, Any]:
    if annotation is bool:
        return {"action": argparse.BooleanOptionalAction}
    if get_origin(annotation) is Literal:
        return {"choices": get_args(annotation)}
    return {"type": annotation, "metavar": {int: "N", float: "X", str: "WHAT"}[annotation]}
