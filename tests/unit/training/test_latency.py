"""How long a clip takes, measured on files whose work is known."""

import os
from pathlib import Path

import onnx
import pytest
import torch

from clips import Variant
from clips.errors import CommandError
from clips.manifest import Precision
from tests.colour_model import SPEC, colour_graph
from training.latency import BATCH_SIZES, Latency, Way, benchmark, latencies
from training.latency_table import latency_section, latency_text
from training.onnx_runtime import OnnxClassifier

ALONE = Way("cpu", 1, 1)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[Precision, Path]:
    """The second does next to nothing beside the first, which multiplies matrices."""
    folder = tmp_path_factory.mktemp("files")
    for name, work in (("fp32", 4), ("int8", 0)):
        onnx.save(colour_graph(work=work), folder / f"{name}.onnx")
    return {"fp32": folder / "fp32.onnx", "int8": folder / "int8.onnx"}


def variant(file: Path, precision: Precision) -> Variant:
    size = file.stat().st_size
    return Variant(file=file.name, precision=precision, sha256="0" * 64, size_bytes=size, max_abs_difference=0.0)


def test_the_file_that_computes_more_takes_longer(files: dict[Precision, Path]) -> None:
    found = latencies(files, SPEC, ALONE, most_rounds=7)
    assert found["fp32"].median_ms > 2 * found["int8"].median_ms > 0
    assert found["fp32"].runs == found["int8"].runs == 7
    assert all(latency.median_ms <= latency.p90_ms for latency in found.values())


def test_the_time_is_that_of_one_clip_of_the_batch(files: dict[Precision, Path]) -> None:
    """The matrices are multiplied once for a batch, so a clip of eight takes an eighth of the time."""
    one, eight = (latencies(files, SPEC, Way("cpu", 1, batch), most_rounds=15)["fp32"] for batch in (1, 8))
    assert eight.median_ms < 0.5 * one.median_ms


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_every_file_runs_every_way_and_what_was_not_measured_is_told(
    files: dict[Precision, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    found = benchmark(files, SPEC)
    expected = [("cpu", threads, batch) for threads in sorted({1, len(os.sched_getaffinity(0))}) for batch in BATCH_SIZES]
    assert {name: [latency.way for latency in row] for name, row in found.latencies.items()} == dict.fromkeys(files, expected)
    assert "CUDA was not measured: there is no NVIDIA GPU here" in found.notes[-1]
    variants = [variant(file, precision) for precision, file in files.items()]
    for written in (latency_text(variants, found), latency_section(variants, found)):
        assert "cpu, 1 thread, batch of 4" in written
        assert all(note in written for note in found.notes)
        assert f"{found.latencies['int8'][0].median_ms:.1f} ({found.latencies['int8'][0].p90_ms:.1f})" in written


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_session_that_fell_back_to_the_cpu_is_refused(files: dict[Precision, Path]) -> None:
    with pytest.raises(CommandError, match="onnxruntime fell back to CPUExecutionProvider"):
        OnnxClassifier(files["fp32"], provider="cuda")


def test_a_latency_is_plain_data_for_the_report() -> None:
    assert Latency(ALONE, 1.234, 5.678, 9).as_dict() == {
        "provider": "cpu",
        "threads": 1,
        "batch": 1,
        "median_ms": 1.23,
        "p90_ms": 5.68,
        "runs": 9,
    }
