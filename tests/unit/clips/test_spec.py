"""The contract as data: sizes, and what a manifest refuses."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from clips import ClipSpec, GoldenClip, Manifest, TrainingProvenance, Variant
from clips.spec import Size


@pytest.mark.parametrize(
    ("spec", "display", "scaled"),
    [
        (ClipSpec(height=224, width=224), (320, 240), Size(224, 298)),
        (ClipSpec(height=224, width=224), (240, 320), Size(298, 224)),
        (ClipSpec(height=100, width=200), (100, 100), Size(200, 200)),
        (ClipSpec(height=224, width=224, fit="stretch"), (320, 240), Size(224, 224)),
    ],
)
def test_a_scaled_frame_covers_the_clip(spec: ClipSpec, display: tuple[int, int], scaled: Size) -> None:
    assert spec.scaled_size(*display) == scaled
    assert scaled.height >= spec.height
    assert scaled.width >= spec.width


@pytest.mark.parametrize("field", [{"num_frames": 0}, {"height": 8}, {"fit": "pad"}, {"colour": "bgr"}])
def test_a_spec_refuses_what_it_does_not_know(field: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ClipSpec.model_validate(field)


def manifest(**changes: Any) -> Manifest:
    fields: dict[str, Any] = {
        "name": "colours",
        "version": 1,
        "labels": ["red", "blue"],
        "clip_spec": ClipSpec(),
        "variants": [Variant(file="model.onnx", precision="fp32", sha256="0" * 64, size_bytes=1, max_abs_difference=0.0)],
        "golden": GoldenClip(file="golden.mp4", sha256="0" * 64, probabilities={"fp32": [0.5, 0.5]}, tolerance={"fp32": 1e-3}),
        "metrics": {"accuracy": 1.0},
        "training": TrainingProvenance(
            dataset="d",
            dataset_fingerprint="0" * 64,
            train_clips=1,
            val_clips=1,
            preset="finetune",
            configuration={},
            seed=0,
            library_versions={},
        ),
        "licence": "none stated",
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return Manifest.model_validate(fields | changes)


def test_a_manifest_survives_the_disk(tmp_path: Path) -> None:
    manifest().write(tmp_path)
    assert Manifest.read(tmp_path) == manifest()


def test_manifests_of_before_quantisation_was_written_down_are_still_read(tmp_path: Path) -> None:
    manifest().write(tmp_path)
    content = json.loads((tmp_path / "manifest.json").read_text())
    for variant in content["variants"]:
        del variant["quantisation"]
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    assert Manifest.read(tmp_path) == manifest()


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": ["red", "red"]},
        {"labels": ["red", "blue", "green"]},
        {"name": "../colours"},
        {"version": 0},
        {"thresholds": [0.5, 0.5]},
        {"task": "multi_label"},
        {"variants": []},
        {"variants": [manifest().variants[0]] * 2},
        {"golden": GoldenClip(file="golden.mp4", sha256="0" * 64, probabilities={}, tolerance={})},
        {"surprise": 1},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_an_inconsistent_manifest_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        manifest(**changes)


@pytest.mark.parametrize("file", ["../model.onnx", "/etc/passwd", "a/b.onnx", ".hidden"])
def test_a_variant_names_a_file_beside_the_manifest(file: str) -> None:
    with pytest.raises(ValidationError):
        Variant(file=file, precision="fp32", sha256="0" * 64, size_bytes=1, max_abs_difference=0.0)
