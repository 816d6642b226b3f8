"""Named recipes: what differs from the defaults of ``TrainingConfig``."""

import argparse
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from clips.errors import UsageError
from training.config import TrainingConfig
from training.flags import wrong_setting

PRESETS = MappingProxyType(
    {
        # head first, then deeper layers at lower rates: the defaults
        "finetune": MappingProxyType[str, Any]({}),
        # plain full fine-tuning, as most papers report it
        "baseline": MappingProxyType[str, Any](
            {
                "learning_rate": 1e-3,
                "momentum": 0.9,
                "batch_size": 32,
                "epochs": 10,
                "size": 224,
                "sampling": "exact",
                "stage_decay": 1.0,
                "frozen_stages": 0,
                "weight_decay": 0.0,
                "schedule": "constant",
                "warmup_epochs": 0.0,
                "gradient_clip": 0.0,
                "batch_norm": "trained",
                "ema_decay": 0.0,
                "head_epochs": 0,
                "dropout": 0.0,
                "label_smoothing": 0.0,
                "class_balance": False,
                "patience": 0,
                "crop_scale_min": 1.0,
                "colour": 0.0,
                "frame_choices": 1,
            }
        ),
        # a linear head on clean features: what is in the backbone already
        "probe": MappingProxyType[str, Any](
            {
                "epochs": 0,
                "head_epochs": 100,
                "head_views": 1,
                "dropout": 0.0,
                "label_smoothing": 0.0,
                "flip": False,
                "crop_scale_min": 1.0,
                "colour": 0.0,
                "frame_choices": 1,
            }
        ),
    }
)

IN_WORDS = MappingProxyType(
    {
        "finetune": "the best result on few clips: the head first, then deeper layers at lower rates (the defaults)",
        "baseline": "plain full fine-tuning at one rate, as most papers report it",
        "probe": "a linear head on clean features of a backbone that stays as it is: a first answer in minutes",
    }
)

# Frozen or slowed layers, and their statistics, are worth nothing when they start at random.
_FROM_SCRATCH = MappingProxyType[str, Any](
    {"head_epochs": 0, "frozen_stages": 0, "stage_decay": 1.0, "batch_norm": "trained", "learning_rate": 0.02}
)


def add_preset_flag(parser: argparse.ArgumentParser) -> None:
    """``--preset``, with a line on each."""
    lines = "\n".join(f"{name:<10}{line}" for name, line in IN_WORDS.items())
    group = parser.add_argument_group("presets", f"recipes to start from; every setting below can be changed\n\n{lines}")
    group.add_argument("--preset", choices=list(PRESETS), help="one of them [finetune, or the one of --config]")


def resolve_config(preset: str, chosen: dict[str, Any]) -> TrainingConfig:
    """Defaults, then the preset, then what random start weights ask for, then what the user chose.

    Raises: UsageError: a value is out of range, the name is no model name, or a setting does not go with the task.
    """
    scratch = _FROM_SCRATCH if preset == "finetune" and chosen.get("weights") == "none" else {}
    try:
        config = TrainingConfig(**{"preset": preset, **PRESETS[preset], **scratch, **chosen})
    except ValidationError as problem:
        raise wrong_setting(problem) from problem
    if config.task == "multi_label" and config.balanced_sampling:
        raise UsageError("--balanced-sampling draws clips by their one label; with --task multi_label use --class-balance")
    return config
