"""A folder of clips to a published version, with the commands that a user types."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import clipserve
from clips import Manifest, load_clip
from tests.videos import solid_video
from training.config import NOT_THE_OUTCOME
from training.onnx_runtime import OnnxClassifier
from training.variants import FILES

COLOURS = {"red": (0, 1), "green": (1, 2), "blue": (2, 0)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five clips a class, one of which is no video."""
    data = tmp_path_factory.mktemp("data")
    for label, (main, _) in COLOURS.items():
        (data / label).mkdir()
        for i in range(5):
            colour = tuple(220 - 20 * i if channel == main else 15 + i for channel in range(3))
            (data / label / f"{i}.mp4").write_bytes(solid_video(colour, num_frames=6))
    (data / "red" / "broken.mp4").write_bytes(b"no video at all")
    return data


def test_train_publish_evaluate_and_export_with_latencies(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    settings = "--weights none --size 32 --num-frames 2 --frame-choices 1 --epochs 1 --batch-size 8 --workers 1 --device cpu"
    assert clipserve.main(["train", str(folder), "--name", "colours", "--licence", "MIT", *settings.split()]) == 0
    out = capsys.readouterr().out
    assert "skipped: red/broken.mp4" in out
    assert "next: clipserve serve" in out

    version = Path("models/colours/1")
    manifest = Manifest.read(version)
    assert manifest.labels == ["blue", "green", "red"]
    assert manifest.clip_spec.shape == (2, 32, 32, 3)
    assert manifest.licence == "MIT"
    assert not NOT_THE_OUTCOME & manifest.training.configuration.keys(), "folders of whoever trained it are nobody's business"
    assert manifest.metrics["temperature"] > 0
    assert "calibration: temperature" in out
    fp32 = manifest.variant("fp32")
    assert fp32 is not None
    assert fp32.max_abs_difference < 1e-4
    clip = load_clip(version / manifest.golden.file, manifest.clip_spec).frames[None]
    probabilities = OnnxClassifier(version / fp32.file)(clip)[0]
    assert np.abs(probabilities - manifest.golden.probabilities["fp32"]).max() < manifest.golden.tolerance["fp32"]
    assert {path.name for path in (version / "report").iterdir()} >= {"metrics.json", "model_card.md", "confusion_matrix.png"}
    assert [path.name for path in version.parent.iterdir()] == ["1"]

    for model in ("models/colours", "runs/colours/1/best.pt"):
        flags = "--json figures.json --variant fp32 --workers 0"
        assert clipserve.main(["evaluate", model, str(folder), *flags.split()]) == 0
        figures = json.loads(Path("figures.json").read_text())
        assert figures["clips_used"] == "val part of the training data"
        assert figures["accuracy"] == pytest.approx(manifest.metrics["accuracy"])

    flags = "--name colours --int8 tensorrt --benchmark --calibration-clips 3 --workers 0 --licence MIT"
    assert clipserve.main(["export", "runs/colours/1/best.pt", *flags.split()]) == 0
    out = capsys.readouterr().out
    assert "quantising (s8s8), ranges from 3 training clips" in out
    assert "cpu, 1 thread, batch of 4" in out
    written = json.loads(Path("models/colours/2/report/metrics.json").read_text())
    assert written["latency_notes"][0].startswith("Measured on ")
    for row in written["variants"]:
        assert row["size_bytes"] == (Path("models/colours/2") / FILES[row["precision"]]).stat().st_size
        assert all(way["median_ms"] > 0 for way in row["latencies"])
        assert {way["batch"] for way in row["latencies"]} == {1, 4}
    assert Path("models/colours/2/report/latency.png").stat().st_size > 1000
    card = Path("models/colours/2/report/model_card.md").read_text()
    assert f"| fp32 | {fp32.size_bytes / 1e6:.1f} MB |" in card
    assert "CUDA" in card
    assert "## Latency" in card
    assert "## Latency" not in Path("models/colours/1/report/model_card.md").read_text()
    for file in Path("runs/colours/1").glob("*.pt"):
        file.unlink()


def test_int8_for_tensorrt_without_int8_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert clipserve.main(["export", "best.pt", "--name", "x", "--variants", "fp32", "--int8", "tensorrt"]) == 2
    assert "--int8 tensorrt: int8 is not among --variants fp32" in capsys.readouterr().err
