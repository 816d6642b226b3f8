"""Fine-tune a ResNet-50 video classifier on labelled clips, export it to ONNX and publish it into the model repository.

FOLDER holds one folder per class, or is a CSV file with the columns path,label and, if you like, group,split; with
--task multi_label a clip has any number of tags, such as wave|smile.
Clips of one group (the same person, place or recording) never end up on both sides of the split.
Everything the run leaves behind is in runs/NAME/1, 2, ...; Ctrl-C stops it, --resume runs/NAME/1 goes on.
"""

import argparse
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch

from training.checkpoint import Checkpoint, Origin
from training.class_weights import class_weights
from training.config import TrainingConfig
from training.config_file import config_text
from training.dataset import Dataset, read_dataset
from training.decoded_parts import decoded_parts
from training.device import Device, choose_device
from training.feature_batches import Feeds
from training.features import need_no_frames
from training.feeding import TrainingBatches, ValidationBatches, Variety
from training.fit import Fit
from training.flags import add_config_flags
from training.history import History
from training.interruption import Interruption
from training.mixing import Mixing
from training.outcome import write_outcome
from training.output_files import check_output_folder
from training.prediction import predict
from training.presets import add_preset_flag
from training.processes import ALONE, Processes, joined
from training.publish import Publication, publish
from training.reading import ClipFrames
from training.record import Record
from training.run_arguments import add_run_arguments
from training.run_folder import RunFolder
from training.run_settings import new_settings, resumed_run
from training.split import split_dataset
from training.start import last_checkpoint, start_model
from training.targets import label_targets
from training.task import TASKS, AnyLoss, AnyMetrics
from training.tracking import check_trackers, tracked
from training.trained_teacher import Teacher

EXAMPLE = "clipserve train my-clips --name my-model --epochs 20 --size 160"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``clipserve train``."""
    add_run_arguments(parser, "folder", "folder of class folders, or a CSV file", named="model")
    parser.add_argument(
        "--model-repository", type=Path, default=Path("models"), metavar="FOLDER", help="where to publish [models]"
    )
    parser.add_argument(
        "--no-publish", action="store_true", help="leave it at the checkpoint; `clipserve export` publishes later"
    )
    parser.add_argument("--licence", default="not stated", help="of the model, for the manifest and the model card")
    add_preset_flag(parser)
    add_config_flags(parser, TrainingConfig, "settings (defaults of --preset finetune in brackets)")


def run(args: argparse.Namespace) -> None:
    """Train, measure, export, publish.

    Raises: CommandError: the run cannot go on. UsageError: the arguments do not fit. KeyboardInterrupt: it was stopped.
    """
    if args.print_config:
        config = new_settings(args)
        title = f"clipserve train FOLDER --name NAME --config THIS_FILE     (from the preset {config.preset})"
        print(config_text(config, title), end="")
        return
    with joined() as processes, processes.with_one_voice(), Interruption().handled() as interruption:
        if not args.no_publish:
            processes.from_first(lambda: check_output_folder(args.model_repository, "--model-repository"))
        folder, config = processes.from_first(lambda: resumed_run(args) if args.resume else (None, new_settings(args)))
        finished = train(config, folder, args.runs, interruption, processes)
        if not processes.is_first:
            return
        print(f"run folder: {finished.path}")
        if args.no_publish:
            print(f"next: clipserve export {finished.best} --name {config.name}")
            return
        publish(Publication(finished.best, config.name, args.model_repository, licence=args.licence))
        print(f"next: clipserve serve --model-repository {args.model_repository} --default-model {config.name}")


def train(
    config: TrainingConfig,
    folder: RunFolder | None,
    runs: Path,
    interruption: Interruption,
    processes: Processes = ALONE,
) -> RunFolder:
    """One run from the list of clips to ``best.pt``; ``folder`` is given where a run goes on."""
    processes.from_first(lambda: check_trackers(config))
    dataset = processes.on_each_machine(lambda: _dataset(config), f"what is in {config.dataset}")
    device = processes.together(lambda: choose_device(config.device, config.precision, processes.local_rank))
    torch.backends.cudnn.benchmark = True  # every batch has one shape
    resumed = processes.from_first(lambda: last_checkpoint(folder))
    model = processes.from_first(lambda: start_model(config, dataset, resumed))
    teacher = processes.together(lambda: Teacher.load(config, dataset.labels, device))
    folder = folder or processes.from_first(lambda: RunFolder.create(runs, config))
    _print_plan(dataset, device, folder)
    history = History(resumed.training["results"] if resumed else (), TASKS[config.task].epoch_result)
    on_disk = processes.from_first(lambda: need_no_frames(dataset.part("train"), model, config, device))
    with (
        folder.frame_files(processes) as files,
        tracked(config, folder, history.epoch, processes) as trackers,
        decoded_parts(dataset, config, files, processes, features_on_disk=on_disk) as parts,
    ):
        train = _training_batches(parts.train, dataset.labels, config, device).shared_by(processes)
        if processes.is_first:
            folder.write_split(dataset)
            folder.write_skipped(parts.skipped)
        val = ValidationBatches(parts.val, dataset.labels, config.batch_size, device.torch_device, processes)
        fit = Fit(
            model=model.to(device.torch_device),
            feeds=Feeds(train, val),
            losses=_losses(parts.train, dataset, config, device),
            config=config,
            device=device,
            interruption=interruption,
            record=Record(folder, history, _template(dataset, config), trackers, processes),
            teacher=teacher,
            processes=processes,
        )
        _fit_or_say_how_to_resume(fit, resumed)
        metrics = _measure_best(processes.from_first(lambda: Checkpoint.load(folder.best)), val, device)
    if processes.is_first:
        write_outcome(history, metrics, dataset, parts.skipped, folder)
    return folder


def _dataset(config: TrainingConfig) -> Dataset:
    return split_dataset(read_dataset(Path(config.dataset), config.task), config.seed, config.val_fraction)


def _training_batches(decoded: ClipFrames, labels: list[str], config: TrainingConfig, device: Device) -> TrainingBatches:
    variety = Variety(
        config.augmentation, Mixing(config.mixup, config.cutmix), config.balanced_sampling, for_teacher=bool(config.teacher)
    )
    targets = label_targets(decoded, labels).to(device.torch_device)
    return TrainingBatches(decoded, targets, config.batch_size, config.num_frames, variety)


def _losses(decoded: ClipFrames, dataset: Dataset, config: TrainingConfig, device: Device) -> dict[str, AnyLoss]:
    """Classes are weighed by rarity, but where they are drawn by it: the head's stage takes every clip once."""
    weights = class_weights(decoded, dataset.labels, config.class_balance, device.torch_device)
    loss = partial(TASKS[config.task].loss, config.loss, config.label_smoothing, config.focal_gamma)
    return {"head": loss(weights), "main": loss(None if config.balanced_sampling else weights)}


def _template(dataset: Dataset, config: TrainingConfig) -> Checkpoint:
    train, val = dataset.part("train"), dataset.part("val")
    origin = Origin(dataset.name, dataset.fingerprint(), len(train), len(val), len({clip.group for clip in val}))
    spec = config.clip_spec.model_dump(mode="json")
    return Checkpoint({}, dataset.labels, spec, config.model_dump(mode="json"), asdict(origin), 0, {})


def _fit_or_say_how_to_resume(fit: Fit, resumed: Checkpoint | None) -> None:
    try:
        with fit.interruption.deferred():
            fit.fit(resumed)
    except KeyboardInterrupt:
        epoch, folder = min(fit.record.history.epoch + 1, fit.config.total_epochs), fit.record.run.path
        print(f"stopped in epoch {epoch}; go on with: clipserve train --resume {folder}", flush=True)
        raise


def _measure_best(best: Checkpoint, val: ValidationBatches, device: Device) -> AnyMetrics:
    task = TASKS[best.settings.task]
    probabilities, truth = predict(val, best.classifier().to(device.torch_device), device, task)
    return task.measure(probabilities, truth, best.labels)


def _print_plan(dataset: Dataset, device: Device, folder: RunFolder) -> None:
    train, val = dataset.part("train"), dataset.part("val")
    groups = len({clip.group for clip in train}), len({clip.group for clip in val})
    print(f"data: {len(dataset.clips)} clips, {dataset.counted_labels}; groups {dataset.grouping}")
    print(
        f"split: {len(train)} clips from {groups[0]} groups to train on, {len(val)} clips from {groups[1]} others to measure on"
    )
    print(f"device: {device.note}")
    print(f"run folder: {folder.path}", flush=True)
