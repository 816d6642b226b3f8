"""The loop of pre-training without labels, from top to bottom.

Every step depends on (seed, epoch, step) and on the weights alone, so a run that was interrupted and resumed equals one
that was not.
"""

import hashlib
import math
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW
from tqdm import tqdm

from clips.errors import CommandError
from training.contrastive import Contrast, Projector, contrast
from training.device import Device
from training.interruption import Interruption
from training.knn_probe import KnnProbe
from training.model import VideoClassifier
from training.optimiser import Schedule, parameter_groups
from training.pairs import ClipPairs
from training.pretrain_config import PretrainConfig
from training.run_folder import RunFolder
from training.weights import read_torch_file, save_torch_file

_SAVE_EVERY_SECONDS = 60.0
_LARGEST_GRADIENT = 5.0


@dataclass
class PretrainEpoch:
    """One line of ``results.csv``; means over the steps."""

    epoch: int
    loss: float = 0.0
    found: float = 0.0
    """Share of the clips to which the other one of their video or picture is the nearest in the batch, 0 to 1."""
    learning_rate: float = 0.0
    seconds: float = 0.0
    knn_accuracy: float | None = None
    """Where the features were tried after this epoch."""
    steps: int = 0

    def add(self, step: Contrast, seconds: float) -> None:
        """Count one step."""
        self.steps += 1
        self.loss += (step.loss.item() - self.loss) / self.steps
        self.found += (step.found.item() - self.found) / self.steps
        self.seconds += seconds

    def line(self) -> str:
        """For the terminal."""
        probed = "" if self.knn_accuracy is None else f"  nearest neighbours {self.knn_accuracy:.1%}"
        return f"epoch {self.epoch:>3}  loss {self.loss:.3f}  found {self.found:6.1%}{probed}"


@dataclass
class Pretraining:
    """One run."""

    config: PretrainConfig
    model: VideoClassifier
    """On the device. Its trunk is trained."""
    pairs: ClipPairs
    probe: KnnProbe | None
    device: Device
    run: RunFolder
    interruption: Interruption
    epochs: list[PretrainEpoch] = field(default_factory=list)
    knn_before: float | None = None
    """What the features were worth before the first step, where they were tried."""

    def __post_init__(self) -> None:
        config, features = self.config, self.model.head.in_features
        torch.manual_seed(config.seed)
        self.projector = Projector(features, config.projector_width).to(self.device.torch_device)
        self.trained = nn.ModuleList([self.model.trunk, self.projector])
        self.optimiser = AdamW(parameter_groups(self.trained.parameters(), config.learning_rate, config.weight_decay))
        steps = len(self.pairs)
        self.schedule = Schedule(self.optimiser, config.epochs * steps, round(config.warmup_epochs * steps))
        self.scaler = self.device.scaler()

    def fit(self) -> None:
        """Train to the last epoch; where ``last.pt`` is there, from it on.

        Raises: KeyboardInterrupt: a signal came; ``last.pt`` has all up to its step. CommandError: the loss diverged.
        """
        begun = self._resume() if self.run.last.exists() else None
        saved = time.monotonic()
        total = self.config.epochs * len(self.pairs)
        done = len(self.epochs) * len(self.pairs) + (begun.steps if begun else 0)
        with tqdm(total=total, initial=done, unit="step", disable=None) as bar:
            for number in range(len(self.epochs) + 1, self.config.epochs + 1):
                epoch, begun = begun or PretrainEpoch(number), None
                self._train_epoch(epoch, bar)
                self._record(epoch, bar)
                if time.monotonic() - saved > _SAVE_EVERY_SECONDS:
                    self._save(None)
                    saved = time.monotonic()
        self._save(None)

    def backbone(self) -> dict[str, Tensor]:
        """Weights under torchvision's names, for ``clipserve train --weights``."""
        return {name: value.cpu() for name, value in self.model.trunk.state_dict().items()}

    def _train_epoch(self, epoch: PretrainEpoch, bar: "tqdm[Any]") -> None:
        self.trained.train()
        before = time.perf_counter()
        for pair in self.pairs.one_pass([self.config.seed, epoch.epoch], start=epoch.steps):
            self.schedule.set((epoch.epoch - 1) * len(self.pairs) + epoch.steps)
            step = self._step(*pair)
            now = time.perf_counter()
            epoch.add(step, now - before)
            before = now
            bar.set_postfix_str(f"epoch {epoch.epoch}, loss {epoch.loss:.3f}", refresh=False)
            bar.update()
            self._check_interruption(epoch)

    def _step(self, a: Tensor, b: Tensor) -> Contrast:
        with self.device.autocast():
            projected = self.projector(self.model.features(torch.cat([a, b])).mean(dim=1)).float()
        first, second = projected.chunk(2)
        step = contrast(first, second, self.config.temperature)
        if not math.isfinite(step.loss.item()):
            raise CommandError("the loss is no longer a number; lower --learning-rate or use --precision fp32")
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(step.loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.unscale_(self.optimiser)
        nn.utils.clip_grad_norm_(self.trained.parameters(), _LARGEST_GRADIENT)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        return step

    def _record(self, epoch: PretrainEpoch, bar: "tqdm[Any]") -> None:
        """A line in ``results.csv``, and on the terminal where the features were tried."""
        epoch.learning_rate = max(group["lr"] for group in self.optimiser.param_groups)
        tried = epoch.epoch % self.config.probe_epochs == 0 or epoch.epoch == self.config.epochs
        if self.probe is not None and tried:
            epoch.knn_accuracy = self.probe.accuracy(self.model)
        self.epochs.append(epoch)
        self.run.write_results([asdict(row) for row in self.epochs])
        if tried:
            bar.write(epoch.line())

    def _check_interruption(self, epoch: PretrainEpoch) -> None:
        try:
            self.interruption.check()
        except KeyboardInterrupt:
            self._save(epoch)
            raise

    def _save(self, begun: PretrainEpoch | None) -> None:
        """``last.pt`` by one atomic rename; ``begun`` is an epoch that is not done."""
        state = {
            "trained": self.trained.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "knn_before": self.knn_before,
            "epochs": [asdict(row) for row in self.epochs],
            "begun": asdict(begun) if begun else None,
            "videos": self._fingerprint(),
        }
        save_torch_file(state, self.run.last)

    def _resume(self) -> PretrainEpoch | None:
        """Everything as it was; returns the epoch that was begun, if any.

        Raises: CommandError: the videos or pictures are others now, or ``last.pt`` was written by another version.
        """
        state: dict[str, Any] = dict(read_torch_file(self.run.last))
        if state.get("videos") != self._fingerprint():
            pictures = f" or the pictures of {self.config.pictures}" if self.config.pictures else ""
            changed = f"the videos of {self.config.videos}{pictures} have changed"
            raise CommandError(f"{changed} since the run began; start a new run")
        try:
            self.trained.load_state_dict(state["trained"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.scaler.load_state_dict(state["scaler"])
            self.knn_before = state.get("knn_before")
            self.epochs = [PretrainEpoch(**row) for row in state["epochs"]]
            return PretrainEpoch(**state["begun"]) if state["begun"] else None
        except (KeyError, TypeError, ValueError, RuntimeError) as problem:
            raise CommandError(f"{self.run.last} does not fit the settings of the run; start a new run") from problem

    def _fingerprint(self) -> str:
        """SHA-256 (hexadecimal) over the content hashes of the videos that can be decoded, then of the pictures, in order."""
        hashes = [clip.sha256 for clip in self.pairs.decoded.clips] + [*self.pairs.pictures.sha256]
        return hashlib.sha256("".join(hashes).encode()).hexdigest()
