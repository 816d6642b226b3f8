"""Does the network wait for its clips? Steps a second with our feeding, and with a loop as torchvision's references have it.

    ours          every clip decoded once into a file of frames, read ahead of the step, augmented between steps
    every_epoch   ours with --decode every_epoch: decoded anew by workers, ahead of the step
    torchcodec    a DataLoader whose workers decode each clip anew for each batch, with torchvision's transforms
    decord        the same with decord
    compute       the same batch over and over: what the processors allow where nothing has to be fed

Network, step, clips and shape are the same for all; they take turns, round by round. What decoding once costs is told apart.
--leak-clips feeds so many clips without a network and looks at the memory.
"""

import argparse
import ctypes
import importlib.metadata
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2
from tqdm import tqdm

from benchmarks.record import write_result
from benchmarks.soaking.slope import fitted
from training.augment import Augmentation
from training.config import TrainingConfig
from training.dataset import read_dataset
from training.decoding import DecodedClips, decode_clips
from training.device import Device, choose_device
from training.feeding import TrainingBatches, Variety
from training.mixing import Mixing
from training.model import VideoClassifier
from training.presets import resolve_config
from training.reading import ClipFrames
from training.streaming import StreamedClips
from training.targets import label_targets
from training.workers import submitter

_MB = 1e6
_M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
Feed = Callable[[int], Iterator[tuple[Tensor, Tensor]]]
"""Number of a round to endless batches: clips (batch, frames, height, width, 3) and label indices (batch,)."""


@dataclass(frozen=True)
class Network:
    """What is fed."""

    model: VideoClassifier
    optimiser: torch.optim.Optimizer
    device: Device

    def step(self, clips: Tensor, targets: Tensor) -> None:
        """Forward, backward and a step of SGD; done when it returns."""
        with self.device.autocast():
            logits = self.model(clips.to(self.device.torch_device, non_blocking=True)).float()
        self.optimiser.zero_grad(set_to_none=True)
        functional.cross_entropy(logits, targets.to(self.device.torch_device)).backward()
        self.optimiser.step()
        logits.sum().item()


class _References(Dataset[tuple[Tensor, int]]):
    """Clips as torchvision's references take them: decoded when they are asked for, transformed one by one."""

    def __init__(self, paths: Sequence[str], targets: Sequence[int], config: TrainingConfig, library: str) -> None:
        self._paths, self._targets, self._num_frames, self._library = paths, targets, config.num_frames, library
        scale = (config.crop_scale_min, 1.0)
        self._transform = v2.Compose(
            [
                v2.RandomResizedCrop(config.size, scale=scale, antialias=True),
                v2.RandomHorizontalFlip(),
                v2.ColorJitter(config.colour, config.colour, config.colour),
            ]
        )

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, at: int) -> tuple[Tensor, int]:
        read = _with_torchcodec if self._library == "torchcodec" else _with_decord
        frames = self._transform(read(self._paths[at], self._num_frames))
        return frames.permute(0, 2, 3, 1).float(), self._targets[at]


def _with_torchcodec(path: str, num_frames: int) -> Tensor:
    """(frames, 3, height, width), uint8."""
    from torchcodec.decoders import VideoDecoder  # noqa: PLC0415 - asked for by name

    decoder = VideoDecoder(path, num_ffmpeg_threads=1)
    frames: Tensor = decoder.get_frames_at(_random_indices(len(decoder), num_frames)).data
    return frames


def _with_decord(path: str, num_frames: int) -> Tensor:
    import decord  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - asked for by name

    reader = decord.VideoReader(path, ctx=decord.cpu(0), num_threads=1)
    frames = reader.get_batch(_random_indices(len(reader), num_frames)).asnumpy()
    return torch.from_numpy(frames).permute(0, 3, 1, 2)


def _random_indices(count: int, num_frames: int) -> list[int]:
    """One frame of each of ``num_frames`` equal segments, as temporal segment networks draw them."""
    edges = np.linspace(0, count, num_frames + 1)
    drawn = edges[:-1] + torch.rand(num_frames).numpy() * np.diff(edges)
    return [min(int(index), count - 1) for index in drawn]


def main() -> None:
    """Measure, print and record."""
    args = _arguments()
    config = _config(args)
    device = choose_device(args.device)
    figures: dict[str, Any] = {}
    if args.leak_clips:  # a process of its own: what a network gave back would be room to grow unseen
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
            figures["leak"] = alone.submit(_leak, args).result()
    with TemporaryDirectory(dir=args.work) as folder:
        began = time.perf_counter()
        decoded, labels = _decoded(args, config, folder)
        figures |= {"clips": len(decoded), "decoding_once_seconds": round(time.perf_counter() - began, 2)}
        with submitter(args.workers, len(decoded)) as submit:
            feeds = {"ours": _endless(_ours(decoded, labels, config, device.torch_device))}
            streamed = StreamedClips(decoded.clips, config.store_spec, submit)
            feeds["every_epoch"] = _endless(_ours(streamed, labels, config, device.torch_device))
            for library in args.references:
                feeds[library] = _references(decoded, labels, config, library, args.workers)
            figures |= _race(feeds, Network(*_network(len(labels), device), device), args) if args.rounds else {}
    figures |= {"device": device.note, "workers": args.workers, "size": args.size, "batch_size": args.batch_size}
    versions = {library: importlib.metadata.version(library) for library in args.references}
    write_result("feeding", figures | {"references": versions})


def _config(args: argparse.Namespace) -> TrainingConfig:
    config = resolve_config("finetune", {"name": "feeding", "dataset": str(args.clips), "size": args.size, "weights": "none"})
    return config.model_copy(update={"batch_size": args.batch_size, "device": args.device})


def _decoded(args: argparse.Namespace, config: TrainingConfig, folder: str) -> tuple[DecodedClips, list[str]]:
    """The clips' frames in a file in ``folder``, and the labels."""
    dataset = read_dataset(args.clips)
    decoded, _ = decode_clips(dataset.clips, config.store_spec, Path(folder) / "clips.dat", -1, "decoding")
    return decoded, dataset.labels


def _network(labels: int, device: Device) -> tuple[VideoClassifier, torch.optim.Optimizer]:
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    model = VideoClassifier(labels).to(device.torch_device).train()
    return model, torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)


def _ours(decoded: ClipFrames, labels: list[str], config: TrainingConfig, device: torch.device) -> TrainingBatches:
    variety = Variety(Augmentation(config.size, config.flip, config.crop_scale_min, config.colour), Mixing())
    targets = label_targets(decoded, labels).to(device)
    return TrainingBatches(decoded, targets, config.batch_size, config.num_frames, variety)


def _endless(batches: TrainingBatches) -> Feed:
    def feed(number: int) -> Iterator[tuple[Tensor, Tensor]]:
        for epoch in range(1_000_000):
            for batch in batches.one_pass([number, epoch]):
                yield batch.inputs, batch.targets.argmax(dim=1)

    return feed


def _references(decoded: DecodedClips, labels: list[str], config: TrainingConfig, library: str, workers: int) -> Feed:
    paths = [str(clip.path) for clip in decoded.clips]
    data = _References(paths, label_targets(decoded, labels).argmax(dim=1).tolist(), config, library)
    loader = DataLoader(data, config.batch_size, shuffle=True, num_workers=workers, persistent_workers=workers > 0)

    def feed(number: int) -> Iterator[tuple[Tensor, Tensor]]:  # noqa: ARG001 - what is random is the workers' own
        while True:
            yield from loader

    return feed


def _race(feeds: dict[str, Feed], network: Network, args: argparse.Namespace) -> dict[str, Any]:
    """Clips a second of each, by rounds; the first steps of a round, in which workers start and caches fill, do not count."""
    rates: dict[str, list[float]] = {name: [] for name in ("compute", *feeds)}
    clips, targets = next(feeds["ours"](0))
    for number in range(args.rounds):
        for name, found in rates.items():
            batches = feeds[name](number + 1) if name in feeds else iter(lambda: (clips, targets), None)
            rate = _clips_a_second(batches, network, args.steps, args.batch_size)
            found.append(round(rate, 2))
            print(f"round {number + 1}: {name:11} {rate:7.2f} clips/s", flush=True)
    middle = {name: median(found) for name, found in rates.items()}
    best = max((name for name in args.references), key=lambda name: middle[name], default="")
    print(f"ours is {middle['ours'] / middle['compute']:.2f} of what there is without feeding")
    figures: dict[str, Any] = {
        "clips_per_second": rates,
        "median": middle,
        "ours_over_compute": middle["ours"] / middle["compute"],
    }
    if best:
        print(f"ours is {middle['ours'] / middle[best]:.2f} of the best reference, {best}")
        figures |= {"best_reference": best, "ours_over_best_reference": middle["ours"] / middle[best]}
        figures["every_epoch_over_best_reference"] = middle["every_epoch"] / middle[best]
    return figures


def _clips_a_second(batches: Iterator[tuple[Tensor, Tensor]], network: Network, steps: int, batch_size: int) -> float:
    for _ in range(2):
        network.step(*next(batches))
    began, seen = time.perf_counter(), 0
    while seen < steps * batch_size:
        clips, targets = next(batches)
        network.step(clips, targets)
        seen += len(clips)
    return seen / (time.perf_counter() - began)


def _leak(args: argparse.Namespace) -> dict[str, Any]:
    """Resident memory, without the mapped file, while so many clips are read and augmented; MB for 100,000 clips.

    Batches are given back to the system at once here: what the allocator keeps for the next one is no growth, and changes from
    pass to pass by more than a leak would.
    """
    ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 2**20)
    counts, held, seen, config = list[float](), list[float](), 0, _config(args)
    with TemporaryDirectory(dir=args.work) as folder, tqdm(total=args.leak_clips, unit="clip", disable=None) as bar:
        batches = _ours(*_decoded(args, config, folder), config, torch.device("cpu"))
        for epoch in range(max(5, ceil(args.leak_clips / batches.clips()))):
            for batch in batches.one_pass([0, epoch]):
                seen += len(batch.inputs)
                bar.update(len(batch.inputs))
            counts.append(float(seen))
            held.append(_anonymous_bytes())
    counted = len(counts) // 5  # the first fifth is warm-up; a line takes three of the rest
    line = fitted(counts[counted:], held[counted:])  # a slope "an hour" is one for 3600 clips here
    growth, error = (number / 3600 * 100_000 / _MB for number in (line.per_hour, line.standard_error))
    print(f"{seen} clips: {growth:+.2f} ± {error:.2f} MB for 100,000 clips", flush=True)
    return {
        "clips": seen,
        "mb_per_100000_clips": round(growth, 3),
        "standard_error": round(error, 3),
        "anonymous_mb": [round(held[0] / _MB, 1), round(held[-1] / _MB, 1)],
    }


def _anonymous_bytes() -> float:
    fields = dict(line.split(":") for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:])
    return float(fields["Anonymous"].split()[0]) * 1024


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.feeding",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python -m benchmarks.feeding exercise10/clips.csv --references torchcodec decord",
    )
    parser.add_argument("clips", type=Path, help="folder of class folders, or a CSV file with the columns path,label")
    parser.add_argument(
        "--references",
        nargs="*",
        choices=("torchcodec", "decord"),
        default=[],
        help="libraries, installed by hand (none)",
    )
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, default=8, help="of each contestant in a round (default: %(default)s)")
    parser.add_argument("--size", type=int, default=128, help="px (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=16, help="clips (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="that decode anew (default: %(default)s)")
    parser.add_argument("--leak-clips", type=int, default=0, help="feed so many without a network first (default: none)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="(default: %(default)s)")
    parser.add_argument("--work", type=Path, help="folder for the decoded frames (default: the system's temporary one)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
