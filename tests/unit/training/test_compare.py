"""Runs side by side."""

from pathlib import Path

import pytest

import clipserve
from training.decoding import SkippedClip
from training.presets import resolve_config
from training.run_folder import RunFolder

ROW = "epoch,stage,learning_rate,train_loss,train_accuracy,val_loss,val_accuracy,val_macro_f1,seconds,clips_per_second\n"


def finished(runs: Path, macro_f1: float, clips: str = "v", skipped: tuple[str, ...] = (), **changes: object) -> Path:
    """A run folder with its outcome; ``clips``: content of each that was held back, in files 0.mp4, 1.mp4, ..."""
    run = RunFolder.create(runs, resolve_config("finetune", {"name": "m", "dataset": "clips", **changes}))
    run.results.write_text(ROW + f"1,main,0.1,1,0.5,1,0.5,{macro_f1 / 2},1,1\n2,main,0.1,1,0.5,1,0.5,{macro_f1},1,1\n")
    figures = {"accuracy": macro_f1, "balanced_accuracy": macro_f1, "loss": 1.0, "training_seconds": 60.0}
    rows = [f"{number}.mp4,a,g,val,{clip}\n" for number, clip in enumerate(clips)]
    run.split.write_text("path,label,group,split,sha256\nx.mp4,a,g,train,x\n" + "".join(rows))
    run.write_skipped([SkippedClip(name, "a", "decode_failed", "") for name in skipped])
    run.write_summary({**figures, "macro_f1": macro_f1})
    return run.path


def compare(*arguments: object) -> int:
    return clipserve.main(["compare", *map(str, arguments)])


def test_seeds_become_one_line_and_what_differs_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [
        finished(tmp_path, 0.5, seed=0),
        finished(tmp_path, 0.7, seed=1),
        finished(tmp_path, 0.8, seed=0, name="seeing", temporal="lstm"),
    ]
    assert compare(*runs, "--report", tmp_path / "runs.html") == 0
    header, first, second = capsys.readouterr().out.splitlines()[:3]
    assert header.split() == ["run", "seeds", "accuracy", "macro-F1", "balanced", "loss", "seconds", "temporal"]
    assert first.split()[:4] == ["seeing", "1", "0.800", "0.800"]
    assert "0.600 ± 0.141" in second
    assert second.split()[-1] == "average"
    page = (tmp_path / "runs.html").read_text()
    assert page.count("<img") == 1
    assert "0.600 ± 0.141" in page


def test_runs_of_one_name_with_other_settings_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(finished(tmp_path, 0.5), finished(tmp_path, 0.6, epochs=3)) == 0
    out = capsys.readouterr().out
    assert "m 1" in out
    assert "m 2" in out


def test_runs_that_cannot_be_compared_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, other = finished(tmp_path, 0.5), finished(tmp_path, 0.5, clips="w", name="other")
    assert compare(first, other) == 1
    assert "measured on different clips" in capsys.readouterr().err
    unlike = [finished(tmp_path, 0.5, clips="vw", name=f"s{at}", skipped=(f"{at}.mp4",)) for at in range(2)]
    assert compare(*unlike) == 1
    assert "measured on different clips" in capsys.readouterr().err
    assert compare(first, first) == 2
    assert "given twice" in capsys.readouterr().err
    assert compare(tmp_path) == 2
    assert "is no run folder" in capsys.readouterr().err
    unfinished = finished(tmp_path, 0.5)
    (unfinished / "summary.json").unlink()
    assert compare(first, unfinished) == 1
    assert "go on with `clipserve train --resume" in capsys.readouterr().err


def test_seeds_may_split_the_data_where_all_have_the_same_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    average = [finished(tmp_path, 0.5, seed=0, clips="ab"), finished(tmp_path, 0.7, seed=1, clips="cd")]
    lstm = [finished(tmp_path, 0.6, seed=seed, clips=clips, name="lstm") for seed, clips in enumerate(["ab", "cd"])]
    assert compare(*average, *lstm) == 0
    capsys.readouterr()
    assert compare(*average, lstm[0]) == 1
    assert "give the same seeds of both" in capsys.readouterr().err
