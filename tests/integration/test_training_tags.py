"""A CSV file with tags to a served model that finds them, with the commands that a user types."""

import json
from pathlib import Path

import pytest
import torch

import clipserve
from clips import Manifest
from tests.live_server import running_server
from tests.tagged_clips import TAGS, tagged_video, write_tagged_clips

SETTINGS = (
    "--task multi_label --backbone resnet18 --weights none --size 32 --num-frames 1 --frame-choices 1 --epochs 8 "
    "--batch-size 8 --no-flip --crop-scale-min 1 --workers 0 --device cpu"
)


def test_train_publish_evaluate_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.set_num_threads(1)
    data = write_tagged_clips(tmp_path, repeats=6)
    monkeypatch.chdir(tmp_path)
    assert clipserve.main(["train", str(data), "--name", "corners", *SETTINGS.split()]) == 0
    out = capsys.readouterr().out
    assert "data: 48 clips, 3 tags; groups from the column `group`" in out
    assert "val mAP" in out
    assert "result: mAP" in out
    assert "accuracy" not in out, "there is no such figure of tags"

    manifest = Manifest.read(version := Path("models/corners/1"))
    assert (manifest.task, manifest.labels) == ("multi_label", list(TAGS))
    assert manifest.metrics["mean_average_precision"] > 0.9, "half of the clips have each tag, and chance would be about 0.5"
    assert manifest.thresholds is not None
    assert all(0 < threshold < 1 for threshold in manifest.thresholds)
    assert "accuracy" not in manifest.metrics
    card = (version / "report/model_card.md").read_text()
    assert "3 tags: blue, green, red" in card
    assert "accuracy" not in card
    assert {path.name for path in (version / "report").iterdir()} >= {"metrics.json", "per_class.csv", "tags.png", "curves.png"}

    for model in ("models/corners", "runs/corners/1/best.pt"):
        flags = "--json figures.json --report page.html --variant fp32 --workers 0"
        assert clipserve.main(["evaluate", model, str(data), *flags.split()]) == 0
        assert "thresholds: those of the model" in capsys.readouterr().out
        figures = json.loads(Path("figures.json").read_text())
        assert figures["clips_used"] == "val part of the training data"
        assert figures["mean_average_precision"] == pytest.approx(manifest.metrics["mean_average_precision"], abs=1e-3)
        assert "<h2>Per tag</h2>" in Path("page.html").read_text()

    flags = "--name corners --variants fp32 --benchmark --workers 0"
    assert clipserve.main(["export", "runs/corners/1/best.pt", *flags.split()]) == 0
    report = Path("models/corners/2/report")
    assert "| file | size | mAP | mAP lost against torch |" in (report / "model_card.md").read_text()
    assert json.loads((report / "metrics.json").read_text())["variants"][0]["latencies"]
    assert (report / "latency.png").stat().st_size > 1000
    for file in Path("runs/corners/1").glob("*.pt"):
        file.unlink()

    with running_server(tmp_path / "models", tmp_path / "log.jsonl") as live:
        answers = {seed: live.classify(tagged_video(set(TAGS[:seed]), 100 + seed)).json() for seed in range(4)}
    right = sum((tag in answers[seed]["tags"]) == (tag in TAGS[:seed]) for seed in answers for tag in TAGS)
    assert right >= 10, "of 12 answers, on clips that nobody has seen"
