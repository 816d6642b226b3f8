"""What a run of ``clipserve train`` is told: a recipe, a file and flags, or the folder of a run that goes on."""

import argparse

from clips.errors import UsageError
from training.config import NOT_THE_OUTCOME, TrainingConfig
from training.config_file import read_config_file
from training.flags import chosen_settings
from training.presets import PRESETS, resolve_config
from training.repository import check_model_name
from training.run_folder import RunFolder, check_resumable


def new_settings(args: argparse.Namespace) -> TrainingConfig:
    """Of a run that begins: preset, then the file, then the flags. Raises: UsageError: they do not fit."""
    folder, name = (args.folder, args.name) if not args.print_config else (args.folder or "FOLDER", args.name or "name")
    if not folder or not name:
        raise UsageError("give a FOLDER and --name, or --resume RUN_FOLDER")
    check_model_name(name)
    chosen = (read_config_file(args.config, TrainingConfig, "train") if args.config else {}) | chosen_settings(
        args, TrainingConfig
    )
    preset = args.preset or chosen.get("preset", "finetune")
    if preset not in list(PRESETS):
        raise UsageError(f"--config {args.config}: there is no preset {preset!r}; there is {', '.join(PRESETS)}")
    if chosen.get("preset", preset) != preset:
        raise UsageError(f"--preset {preset}: {args.config} begins with the preset {chosen['preset']}; leave one of them out")
    return resolve_config(preset, {**chosen, "name": name, "dataset": folder, "preset": preset})


def resumed_run(args: argparse.Namespace) -> tuple[RunFolder, TrainingConfig]:
    """Of a run that goes on: only what decides nothing may change, everything else comes from its folder.

    Raises: UsageError: something else is asked for, or there is no run. CommandError: it cannot go on.
    """
    folder, config = RunFolder.open(args.resume)
    check_resumable(folder)
    chosen = chosen_settings(args, TrainingConfig)
    fixed = sorted(chosen.keys() - NOT_THE_OUTCOME)
    if fixed or args.folder or args.name or args.config or args.preset:
        extra = fixed[0] if fixed else "FOLDER, --name, --preset and --config"
        raise UsageError(f"--resume takes its settings from the run; leave out {extra}")
    return folder, config.model_copy(update=chosen)
