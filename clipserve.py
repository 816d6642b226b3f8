"""``clipserve``: one command-line program. Each command lives in the module that does its work and is imported alone,
so that ``clipserve serve`` never loads torch."""

import argparse
import importlib
import sys
from typing import NamedTuple

from clips.errors import ClipError, CommandError


class Command(NamedTuple):
    """Where a command lives: the module has ``add_arguments(parser)``, ``run(args)`` and ``EXAMPLE``."""

    module: str
    summary: str


COMMANDS = {
    "serve": Command("app.serve", "answer POST /classify over HTTP"),
    "classify": Command("app.client", "send a video to a running server and print the answer"),
    "probe": Command("app.probe", "show what the decoder sees of a video, and what it costs"),
    "index": Command("training.index", "list the clips of a folder or a public data set in a CSV file"),
    "validate": Command("training.validate", "decode every clip of a data set and say what is wrong with it"),
    "train": Command("training.train", "fine-tune a video classifier on a folder of labelled clips"),
    "evaluate": Command("training.evaluate", "measure a checkpoint or a published model on labelled clips"),
    "compare": Command("training.compare", "put several training runs side by side"),
    "export": Command("training.publish", "export a checkpoint to ONNX and publish it into the model repository"),
    "pretrain": Command("training.pretrain", "pre-train a backbone on videos without labels"),
    "distill": Command("training.distill", "pre-train a ResNet on the features of a small ImageNet network"),
}


def main(argv: list[str] | None = None) -> int:
    """Run one command. Exit code 0 on success, 1 on a failure, 2 on wrong usage, 130 when interrupted."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] not in COMMANDS:
        return _overview(argv)
    command = COMMANDS[argv[0]]
    try:
        module = importlib.import_module(command.module)
    except ModuleNotFoundError as problem:
        return _missing_package(argv[0], problem)
    parser = argparse.ArgumentParser(
        prog=f"clipserve {argv[0]}",
        description=module.__doc__,
        epilog=f"example:\n  {module.EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    args = parser.parse_args(argv[1:])
    try:
        module.run(args)
    except (CommandError, ClipError, OSError) as problem:
        print(f"clipserve {argv[0]}: {_in_words(problem)}", file=sys.stderr)
        return problem.exit_code if isinstance(problem, CommandError) else 1
    except KeyboardInterrupt:
        return 130
    return 0


def _in_words(problem: CommandError | ClipError | OSError) -> str:
    """Of the system's own errors, such as a full disk or a missing right, a traceback would explain nothing."""
    if isinstance(problem, OSError):
        return (f"{problem.filename}: " if problem.filename else "") + (problem.strerror or str(problem))
    return f"{problem} ({problem.code})" if isinstance(problem, ClipError) else str(problem)


def _overview(argv: list[str]) -> int:
    """Print the list of commands; wrong usage unless it was asked for."""
    asked = argv in (["-h"], ["--help"])
    out = sys.stdout if asked else sys.stderr
    if argv and not asked:
        print(f"clipserve: there is no command {argv[0]!r}", file=out)
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items()]
    print(
        "usage: clipserve COMMAND ...\n\ncommands:",
        *lines,
        "",
        "clipserve COMMAND --help shows an example.",
        sep="\n",
        file=out,
    )
    return 0 if asked else 2


def _missing_package(name: str, problem: ModuleNotFoundError) -> int:
    """A training command in an environment, or an image, that holds the server alone."""
    print(
        f"clipserve {name}: the package {problem.name!r} is not installed here; "
        "`make train-env` in a checkout sets up an environment for training (.venv/dev)",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
