"""The files of a published model: each is made, then compared with torch, and leaves only if it answers alike."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clips import ClipSpec, Variant
from clips.errors import CommandError
from clips.manifest import FileName, Precision
from training.classification import classify_all
from training.decoding import DecodedClips
from training.export import export_fp32
from training.model import VideoClassifier
from training.onnx_runtime import OnnxClassifier, halve, quantise
from training.parity import AnyParity
from training.task import TASKS, Task

FILES: dict[Precision, FileName] = {"fp32": "model.onnx", "fp16": "model.fp16.onnx", "int8": "model.int8.onnx"}


@dataclass(frozen=True)
class Trial:
    """What variants are made from and measured on."""

    model: VideoClassifier
    spec: ClipSpec
    calibration: DecodedClips
    val: DecodedClips
    targets: NDArray[np.int64]
    """Truth of ``val``, as the task measures it."""
    torch_probabilities: NDArray[np.float32]
    """(clips, labels), of ``val``, in fp32, at ``temperature``."""
    temperature: float = 1.0
    """Goes into the graph."""
    task: Task = TASKS["single_label"]


def make_variants(trial: Trial, wanted: Sequence[Precision], folder: Path, strict: bool) -> list[tuple[Variant, AnyParity]]:
    """Write the wanted files into ``folder``. A file that fails its comparison is removed, and is an error if ``strict``.

    Raises: CommandError: a file was refused and ``strict``, or none is left; the message has the figures.
    """
    fp32 = folder / FILES["fp32"]
    export_fp32(trial.model, trial.spec, fp32, trial.temperature, trial.task.probabilities)
    kept, refused = [], []
    for precision in wanted:
        parity = _make(precision, fp32, trial)
        print(("checked " if parity.passed else "refused ") + parity.figures(), flush=True)
        if parity.passed:
            kept.append((_variant(parity, folder / FILES[precision]), parity))
        else:
            refused.append(parity)
    for precision, name in FILES.items():
        if precision not in {parity.precision for _, parity in kept}:
            (folder / name).unlink(missing_ok=True)
    if refused and (strict or not kept):
        raise CommandError(f"not published, because a variant does not answer like torch; {refused[0].figures()}")
    return kept


def _make(precision: Precision, fp32: Path, trial: Trial) -> AnyParity:
    file = fp32.with_name(FILES[precision])
    if precision == "fp16":
        halve(fp32, file)
    elif precision == "int8":
        print(f"quantising, ranges from {len(trial.calibration)} training clips", flush=True)
        quantise(fp32, file, (trial.calibration.read([i])[0] for i in range(len(trial.calibration))))
    probabilities = classify_all(trial.val, OnnxClassifier(file), f"checking {precision}")
    return trial.task.compare(precision, trial.torch_probabilities, probabilities, trial.targets)


def _variant(parity: AnyParity, file: Path) -> Variant:
    return Variant(
        file=file.name,
        precision=parity.precision,
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        size_bytes=file.stat().st_size,
        max_abs_difference=parity.max_abs_difference,
        accuracy=parity.score,
        accuracy_drop=parity.drop,
    )
