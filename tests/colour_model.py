"""A published model small enough for tests: it names the colour of a video.

uint8 clips -> mean over time and space -> softmax:   red | green | blue

``publish(..., thresholds=[0.5, 0.5, 0.5])`` gives it tags: yellow is red and green, and black is none of them.
"""

from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from clips import ClipSpec, GoldenClip, Manifest, TrainingProvenance, Variant, load_clip
from clips.manifest import Precision
from tests.videos import RED, solid_video

LABELS = ["red", "green", "blue"]
SPEC = ClipSpec(num_frames=4, height=32, width=32)
FILES: dict[Precision, str] = {"fp32": "model.onnx", "fp16": "model.fp16.onnx", "int8": "model.int8.onnx"}

SHARPNESS = 10.0
_WORK_SIZE = 512


def colour_graph(
    spec: ClipSpec = SPEC, work: int = 0, sharpness: float = SHARPNESS, *, gives_tags: bool = False
) -> onnx.ModelProto:
    """The graph of the contract. ``work`` multiplications of 512 x 512 matrices make every run slower.

    The higher ``sharpness`` is, the surer the model: versions with different ones can be told apart by their probabilities.
    """
    constants = {
        "axes": np.array([1, 2, 3], np.int64),
        "sharpness": np.full((1, 3), sharpness / 255, np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["clips"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "axes"], ["colour"], keepdims=0),
        helper.make_node("Mul", ["colour", "sharpness"], ["logits"]),
    ]
    if work:
        nodes += _busy_nodes(constants, work)
    logits = "busy_logits" if work else "logits"
    if gives_tags:
        constants["half"] = np.full((1, 3), sharpness / 2, np.float32)
        nodes.append(helper.make_node("Sub", [logits, "half"], ["tag_logits"]))
        nodes.append(helper.make_node("Sigmoid", ["tag_logits"], ["probabilities"]))
    else:
        nodes.append(helper.make_node("Softmax", [logits], ["probabilities"], axis=-1))
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("clips", TensorProto.UINT8, ["batch", *spec.shape])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", len(LABELS)])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def _busy_nodes(constants: dict[str, np.ndarray], work: int) -> list[onnx.NodeProto]:
    """logits + 0 * mean(M @ M @ ... @ (M + mean logit)): an optimiser cannot know that it adds nothing."""
    constants["matrix"] = np.full((_WORK_SIZE, _WORK_SIZE), 1 / _WORK_SIZE, np.float32)
    constants["nothing"] = np.zeros((1, 1), np.float32)
    product = [helper.make_node("MatMul", ["matrix", f"state_{i}"], [f"state_{i + 1}"]) for i in range(work)]
    return [
        helper.make_node("ReduceMean", ["logits"], ["mean_logit"], keepdims=1),
        helper.make_node("Add", ["matrix", "mean_logit"], ["state_0"]),
        *product,
        helper.make_node("ReduceMean", [f"state_{work}"], ["mean_state"], keepdims=1),
        helper.make_node("Mul", ["mean_state", "nothing"], ["no_change"]),
        helper.make_node("Add", ["logits", "no_change"], ["busy_logits"]),
    ]


def publish(
    repository: Path,
    name: str = "colours",
    version: int = 1,
    precisions: tuple[Precision, ...] = ("fp32",),
    *,
    work: int = 0,
    sharpness: float = SHARPNESS,
    graph: onnx.ModelProto | None = None,
    thresholds: list[float] | None = None,
) -> Path:
    """Write ``repository/name/version`` and return it. Its golden clip is a red video; ``graph`` replaces the usual one.

    With ``thresholds`` its labels are tags.
    """
    folder = repository / name / str(version)
    folder.mkdir(parents=True)
    usual = colour_graph(work=work, sharpness=sharpness, gives_tags=thresholds is not None)
    data = (graph or usual).SerializeToString()
    for precision in precisions:
        (folder / FILES[precision]).write_bytes(data)
    golden = solid_video(RED)
    (folder / "golden.mp4").write_bytes(golden)
    manifest(name, version, precisions, data, golden, sharpness=sharpness, thresholds=thresholds).write(folder)
    return folder


def manifest(
    name: str,
    version: int,
    precisions: tuple[Precision, ...],
    model: bytes,
    golden: bytes,
    *,
    sharpness: float = SHARPNESS,
    thresholds: list[float] | None = None,
) -> Manifest:
    """The manifest that fits the files."""
    probabilities = golden_probabilities(golden, sharpness) if thresholds is None else tag_probabilities(golden, sharpness)
    return Manifest(
        name=name,
        version=version,
        task="single_label" if thresholds is None else "multi_label",
        thresholds=thresholds,
        labels=LABELS,
        clip_spec=SPEC,
        variants=[
            Variant(
                file=FILES[precision],
                precision=precision,
                sha256=sha256(model).hexdigest(),
                size_bytes=len(model),
                max_abs_difference=0.0,
            )
            for precision in precisions
        ],
        golden=GoldenClip(
            file="golden.mp4",
            sha256=sha256(golden).hexdigest(),
            probabilities=dict.fromkeys(precisions, probabilities),
            tolerance=dict.fromkeys(precisions, 0.001),
        ),
        metrics={"top1": 1.0},
        training=TrainingProvenance(
            dataset="colours",
            dataset_fingerprint="0" * 64,
            train_clips=3,
            val_clips=3,
            preset="none",
            configuration={},
            seed=0,
            library_versions={},
        ),
        licence="Apache-2.0",
        created_at=datetime(2026, 11, 23, tzinfo=UTC),
    )


def golden_probabilities(video: bytes, sharpness: float = SHARPNESS) -> list[float]:
    """What the graph computes, computed by hand."""
    logits = _logits(video, sharpness)
    exponentials = np.exp(logits - logits.max())
    return [float(p) for p in exponentials / exponentials.sum()]


def tag_probabilities(video: bytes, sharpness: float = SHARPNESS) -> list[float]:
    """The same of the graph that gives tags."""
    return [float(p) for p in 1 / (1 + np.exp(sharpness / 2 - _logits(video, sharpness)))]


def _logits(video: bytes, sharpness: float) -> np.ndarray:
    logits: np.ndarray = load_clip(video, SPEC).frames.mean((0, 1, 2), dtype=np.float64) * sharpness / 255
    return logits
