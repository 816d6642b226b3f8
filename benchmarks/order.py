"""Clips whose label is an order: three colours that follow each other, in each of the six orders. Who sees it?

Every clip holds the same three colours for about as long, as a block that moves about over noise, so a model that is blind to
the order of frames (`average`, `attention`) can do no better than chance, one in six. Each temporal model is trained from
random weights by the command that users have, with the same settings and seeds.
"""

import argparse
import csv
import json
from collections.abc import Iterator, Sequence
from itertools import permutations
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory
from typing import get_args

import av
import numpy as np
from numpy.typing import NDArray

import clipserve
from benchmarks.record import write_result
from training.architecture import Temporal

COLOURS = {"red": (230, 40, 40), "green": (40, 200, 60), "blue": (50, 70, 230)}
ORDERS = tuple("-".join(order) for order in permutations(COLOURS))
FRAMES, SIZE_PX, FRAMES_PER_SECOND = 36, 64, 12
VAL_CLIPS = 6
"""Of each order: the best epoch is chosen by them."""
SETTINGS = (
    "--weights none --size 64 --num-frames 6 --frame-choices 1 --sampling exact --fit stretch --no-flip --colour 0 "
    "--crop-scale-min 1 --optimiser adamw --learning-rate 5e-4 --batch-size 16 --warmup-epochs 1 --patience 0 --ema-decay 0.9 "
    "--dropout 0 --label-smoothing 0 --temporal-width 256 --no-publish"
)


def main() -> None:
    """Train every temporal model with every seed, print and record."""
    args = _arguments()
    with TemporaryDirectory() as folder:
        clips = write_clips(Path(folder) / "order", {"train": args.train_clips, "val": VAL_CLIPS, "test": args.test_clips})
        found = {temporal: [_accuracy(clips, temporal, seed, args) for seed in args.seeds] for temporal in args.temporal}
    for temporal, accuracies in found.items():
        print(f"{temporal:12} {mean(accuracies):6.1%} of {6 * args.test_clips} clips, each seed {accuracies}")
    figures = {
        name: {"accuracies": values, "mean": mean(values), "deviation": stdev(values) if len(values) > 1 else 0.0}
        for name, values in found.items()
    }
    write_result(
        "order",
        {
            "settings": SETTINGS,
            "backbone": args.backbone,
            "epochs": args.epochs,
            "train_clips": 6 * args.train_clips,
            "val_clips": 6 * VAL_CLIPS,
            "test_clips": 6 * args.test_clips,
            "chance": round(1 / 6, 4),
            "seeds": args.seeds,
            "temporal": figures,
        },
    )


def write_clips(folder: Path, counts: dict[str, int], orders: Sequence[str] = ORDERS) -> Path:
    """So many clips of each order for each part; ``clips.csv`` lists those to train with, ``test.csv`` those to measure on."""
    folder.mkdir(parents=True)
    rows = []
    for label, order in enumerate(orders):
        parts = [part for part, count in counts.items() for _ in range(count)]
        for number, part in enumerate(parts):
            name = f"{order}_{number}.mp4"
            (folder / name).write_bytes(order_clip(order, seed=1000 * label + number))
            rows.append((name, order, part))
    tested = [row[:2] for row in rows if row[2] == "test"]
    for name, header, lines in (
        ("clips.csv", ("path", "label", "split"), [row for row in rows if row[2] != "test"]),
        ("test.csv", ("path", "label"), tested),
    ):
        with (folder / name).open("w", newline="") as file:
            csv.writer(file).writerows([header, *lines])
    return folder


def order_clip(order: str, seed: int) -> bytes:
    """Three seconds of H.264 in MP4, the colours of ``order`` one after the other."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "clip.mp4"
        with av.open(str(file), "w") as container:
            stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options={"preset": "veryfast", "threads": "1"})
            stream.width = stream.height = SIZE_PX
            stream.pix_fmt = "yuv420p"
            for picture in _pictures(order, np.random.default_rng(seed)):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode(None))
        return file.read_bytes()


def _pictures(order: str, random: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    """Each colour lasts a third, give or take two frames; the block has a side of a third to a half of the picture."""
    changes = np.array([FRAMES // 3, 2 * FRAMES // 3]) + random.integers(-2, 3, size=2)
    side = int(random.integers(SIZE_PX // 3, SIZE_PX // 2))
    place, step = random.uniform(0, SIZE_PX - side, size=2), random.uniform(-2, 2, size=2)
    noise = random.integers(60, 180, (SIZE_PX // 8, SIZE_PX // 8, 1), np.uint8).repeat(8, 0).repeat(8, 1).repeat(3, 2)
    for number in range(FRAMES):
        colour = COLOURS[order.split("-")[int((number >= changes).sum())]]
        picture = noise.copy()
        place = place + step
        step = np.where((place < 0) | (place > SIZE_PX - side), -step, step)
        row, column = np.clip(place, 0, SIZE_PX - side).astype(int)
        picture[row : row + side, column : column + side] = colour
        yield picture


def _accuracy(clips: Path, temporal: str, seed: int, args: argparse.Namespace) -> float:
    """On clips that neither trained the model nor chose its epoch."""
    name, runs, figures = f"order-{temporal}", clips / "runs", clips / "figures.json"
    command = ["train", str(clips / "clips.csv"), "--name", name, "--runs", str(runs), "--temporal", temporal]
    _run([*command, "--backbone", args.backbone, "--epochs", str(args.epochs), "--seed", str(seed), *SETTINGS.split()])
    run = max((runs / name).iterdir(), key=lambda folder: int(folder.name))
    _run(["evaluate", str(run / "best.pt"), str(clips / "test.csv"), "--split", "all", "--json", str(figures)])
    for checkpoint in run.glob("*.pt"):
        checkpoint.unlink()
    return round(float(json.loads(figures.read_text())["accuracy"]), 4)


def _run(command: list[str]) -> None:
    if code := clipserve.main(command):
        raise SystemExit(code)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.order", description=__doc__, epilog="example: python -m benchmarks.order --seeds 0 1 2"
    )
    parser.add_argument("--temporal", nargs="+", choices=get_args(Temporal), default=get_args(Temporal), metavar="NAME")
    parser.add_argument("--backbone", default="resnet50", help="(default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="(default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=24, help="(default: %(default)s)")
    parser.add_argument("--train-clips", type=int, default=30, help="of each order (default: %(default)s)")
    parser.add_argument("--test-clips", type=int, default=20, help="of each order (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
