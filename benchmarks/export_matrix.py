"""Every temporal model x shape x precision: does the file answer like torch, how large is it, how long does a clip take?

Each temporal model is trained on ResNet-18 by the command that users have, 6 frames of 64 px, with the clips of
`benchmarks.order`, but labels that every model can see, whatever it knows of order: which colour lasts twice as long as which
other. At that shape accuracy counts, over clips that it never saw. At the other shapes the same weights see some of the same
clips, enlarged: there it counts that files answer like torch, not how often they are right. ResNet-50 has random weights, with
the statistics of batch norm taken from clips. What is done is kept in --work, and an interrupted matrix goes on from there.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import clipserve
from benchmarks.order import COLOURS, SETTINGS, VAL_CLIPS, write_clips
from benchmarks.record import write_result
from clips import ClipSpec
from clips.manifest import Precision, Quantisation
from training.architecture import Architecture
from training.checkpoint import Checkpoint
from training.dataset import LabelledClip, read_dataset
from training.decoding import decode_clips
from training.export import export_fp32
from training.latency import Way, cores, latencies
from training.model import VideoClassifier
from training.onnx_runtime import OnnxClassifier
from training.parity import compare
from training.targets import label_targets
from training.trial import Trial
from training.variants import make_file

LABELS = sorted(f"{long}-{long}-{short}" for long, short in permutations(COLOURS, 2))
HEADS = {
    "average": ["--temporal", "average"],
    "attention": ["--temporal", "attention"],
    "shift": ["--temporal", "shift"],
    "lstm": ["--temporal", "lstm"],
    "lstm, both ways": ["--temporal", "lstm", "--bidirectional"],
    "transformer": ["--temporal", "transformer"],
}
VARIANTS: dict[str, tuple[Precision, Quantisation]] = {
    "fp32": ("fp32", "u8s8"),
    "fp16": ("fp16", "u8s8"),
    "int8": ("int8", "u8s8"),
    "int8 tensorrt": ("int8", "s8s8"),
}
TRAINED, LARGE = (6, 64), (8, 224)
SHAPES = ((4, 112), (8, 112), (16, 112), LARGE)
"""Frames and px."""
BATCH_SIZES = (1, 2, 5)
_CALIBRATION_CLIPS, _LATENCY_ROUNDS = 6, 10


def main() -> None:
    """Train, export, compare, measure; print and record."""
    args = _arguments()
    torch.manual_seed(0)
    clips = args.work / "clips"
    if not (clips / "test.csv").exists():
        write_clips(clips, {"train": args.train_clips, "val": VAL_CLIPS, "test": args.test_clips}, LABELS)
    cases = [Case("resnet18", head, *shape) for head in args.heads for shape in (TRAINED, *SHAPES)]
    cases += [Case("resnet50", head, *LARGE) for head in args.resnet50]
    rows = [row for case in cases for row in _kept(case, clips, args)]
    for row in rows:
        print("  ".join(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()))
    refused = [row for row in rows if not row["passed"]]
    print(f"{len(rows)} files, of which {len(refused)} are refused")
    settings = {"settings": SETTINGS, "epochs": args.epochs, "train_clips": 6 * args.train_clips, "cells": rows}
    write_result("export_matrix", {"batch_sizes": BATCH_SIZES, "calibration_clips": _CALIBRATION_CLIPS, **settings})


@dataclass(frozen=True)
class Case:
    """One model at one shape."""

    backbone: str
    head: str
    frames: int
    size: int

    @property
    def name(self) -> str:
        """For a file name."""
        return f"{self.backbone}-{self.head.replace(', ', '-').replace(' ', '-')}-{self.frames}x{self.size}"

    @property
    def spec(self) -> ClipSpec:
        """As `benchmarks.order` trains, at this shape."""
        return ClipSpec(num_frames=self.frames, height=self.size, width=self.size, fit="stretch")


def _kept(case: Case, clips: Path, args: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows of the case, from an earlier run where it got so far."""
    file = args.work / "cells" / f"{case.name}.json"
    if not file.exists():
        print(case.name, flush=True)
        model = _random(case, clips) if case.backbone == "resnet50" else _trained(case.head, clips, args)
        rows = [{**vars(case), **row} for row in _rows(model, case, clips)]
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(rows))
    kept: list[dict[str, Any]] = json.loads(file.read_text())
    return kept


def _rows(model: VideoClassifier, case: Case, clips: Path) -> Iterator[dict[str, Any]]:
    """One for each of ``VARIANTS``."""
    with TemporaryDirectory() as folder:
        trial = _trial(model, case, clips, Path(folder))
        files = dict(_files(trial, Path(folder)))
        taken = latencies(files, case.spec, Way("cpu", cores(), 1), _LATENCY_ROUNDS)
        val = trial.val.read(range(len(trial.val)))
        for name, file in files.items():
            alone, *batches = (_answers(OnnxClassifier(file), val, size) for size in BATCH_SIZES)
            parity = compare(VARIANTS[name][0], trial.torch_probabilities, alone, trial.targets)
            yield {
                "variant": name,
                "passed": parity.passed,
                "clips": parity.clips,
                "accuracy": parity.accuracy,
                "torch_accuracy": parity.torch_accuracy,
                "agreement": parity.agreement,
                "max_abs_difference": max(float(np.abs(each - trial.torch_probabilities).max()) for each in (alone, *batches)),
                "between_batch_sizes": max(float(np.abs(each - alone).max()) for each in batches),
                "size_bytes": file.stat().st_size,
                **taken[name].as_dict(),
            }


def _trial(model: VideoClassifier, case: Case, clips: Path, folder: Path) -> Trial:
    """All test clips at the shape of the training, one of each label at the others."""
    train = [clip for clip in read_dataset(clips / "clips.csv").clips if clip.part == "train"]
    test = read_dataset(clips / "test.csv").clips
    chosen = test if (case.frames, case.size) == TRAINED else _one_of_each(test)
    calibration, _ = decode_clips(train[:: len(train) // _CALIBRATION_CLIPS], case.spec, folder / "train.dat", 0, "decoding")
    val, _ = decode_clips(chosen, case.spec, folder / "val.dat", 0, "decoding")
    probabilities = _answers(_torch(model), val.read(range(len(val))), 2)
    targets = label_targets(val, LABELS).argmax(dim=1).numpy()
    return Trial(model, case.spec, LABELS, calibration, val, targets, probabilities)


def _files(trial: Trial, folder: Path) -> Iterator[tuple[str, Path]]:
    export_fp32(trial.model, trial.spec, folder / "model.onnx")
    for name, (precision, quantisation) in VARIANTS.items():
        made = make_file(precision, folder / "model.onnx", replace(trial, quantisation=quantisation))
        yield name, made if precision == "fp32" else made.rename(folder / f"{name}.onnx")


def _answers(classify: Any, clips: NDArray[np.uint8], batch: int) -> NDArray[np.float32]:
    return np.concatenate([classify(clips[start : start + batch]) for start in range(0, len(clips), batch)])


def _torch(model: VideoClassifier) -> Any:
    @torch.no_grad()
    def classify(clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        return model.eval()(torch.from_numpy(clips)).softmax(dim=1).numpy()

    return classify


def _trained(head: str, clips: Path, args: argparse.Namespace) -> VideoClassifier:
    """By the command that users have, once."""
    name = "matrix-" + head.replace(", ", "-").replace(" ", "-")
    done = args.work / "runs" / f"{name}.pt"
    if not done.exists():
        where = [str(clips / "clips.csv"), "--name", name, "--runs", str(args.work / "runs"), "--backbone", "resnet18"]
        if code := clipserve.main(["train", *where, *HEADS[head], "--epochs", str(args.epochs), *SETTINGS.split()]):
            raise SystemExit(code)
        newest = max((args.work / "runs" / name).iterdir(), key=lambda folder: int(folder.name))
        (newest / "best.pt").rename(done)
    return Checkpoint.load(done).classifier()


@torch.no_grad()
def _random(case: Case, clips: Path) -> VideoClassifier:
    """Random weights; batch norm knows its clips, and logits are far enough apart for a label to be likelier than others."""
    flags = HEADS[case.head]
    architecture = Architecture(backbone=case.backbone, temporal=flags[1], width=256, bidirectional="--bidirectional" in flags)
    model = VideoClassifier(len(LABELS), architecture=architecture)
    with TemporaryDirectory() as folder:
        seen = _one_of_each(read_dataset(clips / "test.csv").clips)
        decoded, _ = decode_clips(seen, case.spec, Path(folder) / "clips.dat", 0, "decoding")
        frames = torch.from_numpy(decoded.read(range(len(decoded))))
    for layer in model.trunk.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None  # the mean over what it sees
    model.train().features(frames)
    model.head.weight *= 2 / model.eval()(frames).std()
    return model


def _one_of_each(test: list[LabelledClip]) -> list[LabelledClip]:
    return list({clip.label: clip for clip in test}.values())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.export_matrix",
        description=__doc__,
        epilog="example: python -m benchmarks.export_matrix --heads shift lstm --epochs 8",
    )
    parser.add_argument("--heads", nargs="+", choices=HEADS, default=list(HEADS), metavar="NAME", help="(default: all)")
    parser.add_argument("--epochs", type=int, default=6, help="(default: %(default)s)")
    parser.add_argument("--train-clips", type=int, default=30, help="of each label (default: %(default)s)")
    parser.add_argument("--test-clips", type=int, default=20, help="of each label (default: %(default)s)")
    parser.add_argument(
        "--resnet50", nargs="*", choices=HEADS, default=list(HEADS), metavar="NAME", help="with ResNet-50 too (default: all)"
    )
    parser.add_argument(
        "--work", type=Path, default=Path("build/export_matrix"), metavar="FOLDER", help="what is kept (default: %(default)s)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
