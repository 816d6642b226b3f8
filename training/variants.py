"""The files of a published model: each is made, then compared with torch, and leaves only if it answers alike."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clips import Variant
from clips.errors import CommandError
from clips.manifest import FileName, Precision
from training.classification import classify_all
from training.export import export_fp32
from training.onnx_runtime import OnnxClassifier, halve, quantise
from training.parity import AnyParity
from training.refusal import explanation
from training.trial import Trial

FILES: dict[Precision, FileName] = {"fp32": "model.onnx", "fp16": "model.fp16.onnx", "int8": "model.int8.onnx"}


@dataclass(frozen=True)
class CheckedVariant:
    """A file that answers like torch."""

    variant: Variant
    parity: AnyParity


def make_variants(trial: Trial, wanted: Sequence[Precision], folder: Path, strict: bool) -> list[CheckedVariant]:
    """Write the wanted files into ``folder``. A file that fails its comparison is removed, and is an error if ``strict``.

    Raises: CommandError: a file was refused and ``strict``, or none is left; the message has the figures and remedies.
    """
    fp32 = folder / FILES["fp32"]
    export_fp32(trial.model, trial.spec, fp32, trial.temperature, trial.task.probabilities)
    kept, refused = [], []
    for precision in wanted:
        file = make_file(precision, fp32, trial)
        probabilities = classify_all(trial.val, OnnxClassifier(file), f"checking {precision}")
        parity = trial.task.compare(precision, trial.torch_probabilities, probabilities, trial.targets)
        if parity.passed:
            print(f"checked {parity.figures()}", flush=True)
            kept.append(CheckedVariant(_variant(parity, file, trial), parity))
        else:
            refused.append(_explain(parity, probabilities, trial, wanted))
            print(f"refused {refused[-1]}", flush=True)
    for precision, name in FILES.items():
        if precision not in {each.variant.precision for each in kept}:
            (folder / name).unlink(missing_ok=True)
    if refused and (strict or not kept):
        raise CommandError(f"not published, because a variant does not answer like torch; {refused[0]}")
    return kept


def make_file(precision: Precision, fp32: Path, trial: Trial) -> Path:
    """Write the file of this precision beside ``fp32``, which is there."""
    file = fp32.with_name(FILES[precision])
    if precision == "fp16":
        halve(fp32, file)
    elif precision == "int8":
        print(f"quantising ({trial.quantisation}), ranges from {len(trial.calibration)} training clips", flush=True)
        clips = (trial.calibration.read([i])[0] for i in range(len(trial.calibration)))
        quantise(fp32, file, clips, trial.quantisation)
    return file


def _explain(parity: AnyParity, probabilities: NDArray[np.float32], trial: Trial, wanted: Sequence[Precision]) -> str:
    losses = trial.task.lost(trial.labels, trial.torch_probabilities, probabilities, trial.targets)
    return explanation(parity, losses, len(trial.calibration), wanted)


def _variant(parity: AnyParity, file: Path, trial: Trial) -> Variant:
    return Variant(
        file=file.name,
        precision=parity.precision,
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        size_bytes=file.stat().st_size,
        quantisation=trial.quantisation if parity.precision == "int8" else None,
        max_abs_difference=parity.max_abs_difference,
        accuracy=parity.score,
        accuracy_drop=parity.drop,
    )
