"""Settings as a file: what is printed can be read, and what is misspelt is named."""

from pathlib import Path

import pytest

import clipserve
from clips.errors import UsageError
from training.config import TrainingConfig
from training.config_file import config_text, read_config_file
from training.presets import PRESETS, resolve_config

NAMED = {"name": "m", "dataset": "clips"}


@pytest.mark.parametrize("preset", PRESETS)
def test_what_is_printed_gives_the_same_run_and_explains_every_setting(preset: str, tmp_path: Path) -> None:
    config = resolve_config(preset, NAMED | {"epochs": 7, "flip": False, "teacher": "runs/\U0001f600/1/best.pt"})
    file = tmp_path / "run.toml"
    file.write_text(config_text(config, "a run"))
    read = read_config_file(file, TrainingConfig, "train")
    assert TrainingConfig(**NAMED, **read) == config
    assert all(" # " in line for line in config_text(config, "a run").splitlines()[2:] if not line.startswith("preset"))


def test_a_misspelt_setting_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("learning_rat = 0.1")
    with pytest.raises(UsageError, match="no setting 'learning_rat'; do you mean learning_rate"):
        read_config_file(tmp_path / "run.toml", TrainingConfig, "train")


@pytest.mark.parametrize(
    ("content", "complaint"), [(b"epochs: 3", "is not TOML"), (b"\xff", "is not TOML"), (None, "cannot be read")]
)
def test_a_file_that_cannot_be_read_is_named(content: bytes | None, complaint: str, tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=complaint):
        read_config_file(file, TrainingConfig, "train")


def test_flags_count_more_than_the_file_and_the_file_more_than_the_preset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.toml"
    file.write_text('preset = "baseline"\nepochs = 3\nbatch_size = 5\n')
    assert clipserve.main(["train", "--print-config", "--config", str(file), "--batch-size", "6"]) == 0
    (tmp_path / "printed.toml").write_text(capsys.readouterr().out)
    printed = read_config_file(tmp_path / "printed.toml", TrainingConfig, "train")
    assert (printed["preset"], printed["epochs"], printed["batch_size"], printed["momentum"]) == ("baseline", 3, 6, 0.9)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('preset = "best"', "no preset 'best'"),
        ('preset = ["baseline"]', "no preset ['baseline']"),
        ("epochs = -1", "--epochs: "),
        ('epochs = "many"', "--epochs: "),
    ],
)
def test_a_wrong_value_in_a_file_is_one_line_and_exit_code_2(
    content: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.toml").write_text(content)
    assert clipserve.main(["train", "clips", "--name", "m", "--config", str(tmp_path / "run.toml")]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


def test_a_preset_beside_a_file_of_another_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.toml").write_text('preset = "finetune"')
    assert clipserve.main(["train", "--print-config", "--preset", "baseline", "--config", str(tmp_path / "run.toml")]) == 2
    assert "leave one of them out" in capsys.readouterr().err
