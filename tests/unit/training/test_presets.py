"""Settings: presets, flags and the order in which they count."""

import argparse

import pytest

from clips import ClipSpec
from clips.errors import UsageError
from training.config import TrainingConfig
from training.flags import add_config_flags, chosen_settings
from training.presets import resolve_config

NAMED = {"name": "m", "dataset": "clips"}


def test_baseline_is_plain_full_fine_tuning() -> None:
    config = resolve_config("baseline", NAMED)
    assert (config.learning_rate, config.momentum, config.batch_size, config.epochs, config.size) == (1e-3, 0.9, 32, 10, 224)
    assert (config.optimiser, config.frozen_stages, config.stage_decay, config.head_epochs) == ("sgd", 0, 1.0, 0)


def test_a_flag_counts_more_than_the_preset() -> None:
    assert resolve_config("baseline", {**NAMED, "epochs": 3}).epochs == 3


def test_random_weights_are_not_frozen() -> None:
    config = resolve_config("finetune", {**NAMED, "weights": "none"})
    assert (config.head_epochs, config.frozen_stages, config.batch_norm) == (0, 0, "trained")


@pytest.mark.parametrize(("setting", "value", "flag"), [("epochs", -1, "--epochs"), ("name", "Big Name", "--name")])
def test_a_value_out_of_range_is_wrong_usage(setting: str, value: object, flag: str) -> None:
    with pytest.raises(UsageError, match=flag):
        resolve_config("finetune", {**NAMED, setting: value})


@pytest.mark.parametrize(("old", "new"), [(True, "frozen"), (False, "trained")])
def test_settings_of_older_checkpoints_are_understood(old: bool, new: str) -> None:
    assert TrainingConfig.model_validate(NAMED | {"freeze_batch_norm": old}).batch_norm == new


def test_every_setting_has_a_flag_with_an_explanation() -> None:
    parser = argparse.ArgumentParser()
    add_config_flags(parser, TrainingConfig, "settings")
    described = {action.dest for action in parser._actions if action.help and "None [" not in action.help}
    assert TrainingConfig.model_fields.keys() - {"name", "dataset", "preset"} <= described


def test_flags_that_are_not_given_leave_no_trace() -> None:
    parser = argparse.ArgumentParser()
    add_config_flags(parser, TrainingConfig, "settings")
    given = chosen_settings(
        parser.parse_args(["--epochs", "3", "--no-flip", "--optimiser", "adamw", "--size", "64"]), TrainingConfig
    )
    assert given == {"epochs": 3, "flip": False, "optimiser": "adamw", "size": 64}


def test_training_clips_are_stored_with_spare_frames_and_margin() -> None:
    config = resolve_config("finetune", {**NAMED, "size": 100, "num_frames": 4})
    assert config.clip_spec == ClipSpec(num_frames=4, height=100, width=100, sampling="nearest_reference")
    assert config.store_spec == ClipSpec(num_frames=12, height=115, width=115, sampling="nearest_reference")


def test_the_baseline_samples_as_published_figures_do() -> None:
    assert resolve_config("baseline", NAMED).clip_spec.sampling == "exact"
