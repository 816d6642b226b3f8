"""What the server accepts as a model on disk, and the one line that it says otherwise."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.inference.engine import load_engine, preferred_variant
from app.inference.execution_plan import PlanRequest
from app.inference.repository import published_models
from app.inference.served import check_default_name
from clips.errors import CommandError
from tests.colour_model import publish

PLAN = PlanRequest(processors=1, max_batch_size=2)


def change_manifest(folder: Path, **changes: Any) -> None:
    manifest = json.loads((folder / "manifest.json").read_text()) | changes
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_the_newest_version_counts_by_number_not_by_text(tmp_path: Path) -> None:
    for version in (2, 10, 9):
        publish(tmp_path, version=version)
    (tmp_path / "colours" / "draft").mkdir()
    (tmp_path / "colours" / ".11").mkdir()
    assert [model.manifest.version for model in published_models(tmp_path)] == [10]
    assert [model.manifest.version for model in published_models(tmp_path, every_version=True)] == [2, 9, 10]


def test_models_come_by_name(tmp_path: Path) -> None:
    for name in ("walk", "colours"):
        publish(tmp_path, name)
    assert [model.title for model in published_models(tmp_path)] == ["colours/1", "walk/1"]


def test_a_missing_repository_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"no model repository at .*--model-repository"):
        published_models(tmp_path / "nowhere")


def test_a_repository_without_models_is_not_an_empty_server(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no model is published in"):
        published_models(tmp_path)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"labels": ["only one"]}, "labels: "),
        ({"surprise": 1}, "surprise: Extra inputs"),
        ({"version": 7}, "says it is colours/7, but lies elsewhere"),
        ({"name": "../colours"}, "name: "),
    ],
)
def test_a_manifest_that_breaks_the_contract_is_refused_with_the_field(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    change_manifest(publish(tmp_path), **changes)
    with pytest.raises(CommandError, match=reason) as refusal:
        published_models(tmp_path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("file", ["model.onnx", "golden.mp4"])
def test_a_changed_file_is_refused(tmp_path: Path, file: str) -> None:
    folder = publish(tmp_path)
    (model,) = published_models(tmp_path)
    data = bytearray((folder / file).read_bytes())
    data[-1] ^= 1
    (folder / file).write_bytes(data)
    read = {"model.onnx": lambda: model.read_variant(model.manifest.variants[0]), "golden.mp4": model.read_golden}[file]
    with pytest.raises(CommandError, match=f"{file} is not the file that was published"):
        read()


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    folder = publish(tmp_path)
    (folder / "model.onnx").unlink()
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        load_engine(published_models(tmp_path)[0], "cpu", PLAN)


def test_a_cpu_runs_int8_and_a_gpu_fp16(tmp_path: Path) -> None:
    publish(tmp_path, precisions=("fp32", "fp16", "int8"))
    (model,) = published_models(tmp_path)
    assert preferred_variant(model, "cpu").precision == "int8"
    assert preferred_variant(model, "cuda").precision == "fp16"


def test_a_cpu_runs_fp32_rather_than_int8_that_was_made_for_tensorrt(tmp_path: Path) -> None:
    publish(tmp_path, precisions=("fp32", "int8"))
    (model,) = published_models(tmp_path)
    variants = [
        each.model_copy(update={"quantisation": "s8s8"} if each.precision == "int8" else {}) for each in model.manifest.variants
    ]
    made_for_tensorrt = replace(model, manifest=model.manifest.model_copy(update={"variants": variants}))
    assert preferred_variant(made_for_tensorrt, "cpu").precision == "fp32"


def test_without_them_both_run_fp32(tmp_path: Path) -> None:
    publish(tmp_path, precisions=("fp32",))
    (model,) = published_models(tmp_path)
    assert preferred_variant(model, "cpu").precision == preferred_variant(model, "cuda").precision == "fp32"


def test_a_default_model_that_is_not_published_is_refused(tmp_path: Path) -> None:
    publish(tmp_path)
    check_default_name("colours", published_models(tmp_path))
    with pytest.raises(CommandError, match="'colors' is not published; there is colours"):
        check_default_name("colors", published_models(tmp_path))
