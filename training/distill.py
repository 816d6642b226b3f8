"""Pre-train a ResNet without ImageNet: teach it to compute what a small ImageNet network computes.

The student is asked for the teacher's feature map at each of its four stages and at the end, at every position, on random
views of the training clips' frames and, if given, of a folder of other pictures. Labels are not used. The result is
runs/NAME/1 with backbone.pt, which `clipserve train --weights runs/NAME/1` starts from. Ctrl-C stops the run,
--resume runs/NAME/1 goes on.
"""

import argparse
import hashlib
from pathlib import Path

from training.config_file import config_text
from training.dataset import Dataset, read_dataset
from training.device import Device, choose_device
from training.distill_config import DistillConfig
from training.distillation import LOSS_WEIGHTS, Distillation
from training.flags import add_config_flags
from training.interruption import Interruption
from training.pictures import clip_frames, read_pictures
from training.plots import Curve, curves_figure
from training.processes import check_alone
from training.run_arguments import add_run_arguments, chosen_run
from training.run_folder import RunFolder
from training.split import split_dataset
from training.teacher import EfficientNetLite2
from training.views import Picture, Views
from training.weights import save_torch_file

EXAMPLE = "clipserve distill clips.csv --pictures caltech101 --name backbone"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``clipserve distill``."""
    add_run_arguments(parser, "data", "folder of class folders or CSV file; only its training part is used")
    add_config_flags(parser, DistillConfig, "settings (defaults in brackets)")


def run(args: argparse.Namespace) -> None:
    """Distil, and leave ``backbone.pt``.

    Raises: CommandError: the run cannot go on. UsageError: the arguments do not fit. KeyboardInterrupt: it was stopped.
    """
    folder, config = chosen_run(args, DistillConfig, "data", "distill")
    if args.print_config:
        print(config_text(config, "clipserve distill DATA --name NAME --config THIS_FILE"), end="")
        return
    check_alone("distill")
    with Interruption().handled() as interruption:
        finished = distill(config, folder, args.runs, interruption)
    more = "" if config.backbone == "resnet50" else f" --backbone {config.backbone}"
    more += "" if config.task == "single_label" else f" --task {config.task}"
    print(f"wrote {finished.backbone}; next: clipserve train {config.data} --name NAME --weights {finished.path}{more}")


def distill(config: DistillConfig, folder: RunFolder | None, runs: Path, interruption: Interruption) -> RunFolder:
    """One run from the clips to ``backbone.pt``; ``folder`` is given where a run goes on.

    Raises: CommandError, UsageError: an input is missing or unusable, or the loss diverged. KeyboardInterrupt: it was stopped.
    """
    dataset = split_dataset(read_dataset(Path(config.data), config.task), config.seed)
    pictures = read_pictures(Path(config.pictures)) if config.pictures else []
    teacher = EfficientNetLite2()
    device = _device(config)
    folder = folder or RunFolder.create(runs, config)
    print(f"device: {device.note}\nrun folder: {folder.path}", flush=True)
    with folder.frame_files() as files:
        frames = clip_frames(dataset.part("train"), config.frames_per_clip, files / "frames.dat")
        views = Views([frames, pictures], config.seed, device.torch_device)
        work = Distillation(config, teacher, views, _fingerprint(dataset, [*frames, *pictures]), device, folder, interruption)
        _fit_or_say_how_to_resume(work)
    save_torch_file(work.backbone(), folder.backbone)
    _write_outcome(work)
    return folder


def _fingerprint(dataset: Dataset, pictures: list[Picture]) -> str:
    """SHA-256 (hexadecimal) over all that the views are drawn from."""
    digest = hashlib.sha256(dataset.fingerprint().encode())
    for picture in pictures:
        digest.update(picture.tobytes())
    return digest.hexdigest()


def _device(config: DistillConfig) -> Device:
    device = choose_device(config.device)
    if device.precision == "fp16":  # its gradients would need to be scaled
        device = choose_device(config.device, "fp32")
    return device


def _fit_or_say_how_to_resume(work: Distillation) -> None:
    try:
        with work.interruption.deferred():
            work.fit()
    except KeyboardInterrupt:
        seen = work.steps * work.config.batch_size
        print(f"stopped after {seen} views; go on with: clipserve distill --resume {work.run.path}", flush=True)
        raise


def _write_outcome(work: Distillation) -> None:
    """``curves.png``, and ``summary.json``, which says that the run is complete."""
    views = [round(row["views"]) for row in work.rows]
    curves = [Curve(name.replace("_", " "), views, [row[name] for row in work.rows]) for name in LOSS_WEIGHTS]
    title = f"{work.config.name}, run {work.run.path.name}: share of the teacher's variance that is left unexplained"
    curves_figure(curves, title, "views").savefig(work.run.curves, dpi=130)
    work.run.write_summary({**work.rows[-1], "seconds": round(sum(row["seconds"] for row in work.rows), 1)})
