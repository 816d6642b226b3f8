"""Start weights: ImageNet's from torchvision, none, a checkpoint file or a run folder; and how such files are written."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from urllib.error import URLError

import torch
from torch import Tensor
from torchvision.models import ResNet18_Weights, ResNet34_Weights, ResNet50_Weights, WeightsEnum

from clips.errors import CommandError
from training.architecture import Backbone
from training.model import VideoClassifier

_IMAGENET: dict[Backbone, WeightsEnum] = {
    "resnet18": ResNet18_Weights.IMAGENET1K_V1,
    "resnet34": ResNet34_Weights.IMAGENET1K_V1,
    "resnet50": ResNet50_Weights.IMAGENET1K_V2,
}
_WRAPPERS = ("model", "state_dict")


def load_start_weights(
    model: VideoClassifier, weights: str, backbone: Backbone = "resnet50", labels: Sequence[str] | None = None
) -> str:
    """Fill ``model`` in place; returns what was loaded, in words.

    ``weights`` is ``imagenet``, ``none`` (the model keeps its random weights), or the path of a checkpoint of a run or
    of a plain state dict with torchvision's names for the model's backbone, or a run folder. A head for other labels than
    ``labels``, or above another temporal pooling, is left out.

    Raises: CommandError: the file is missing, is no checkpoint, does not fit, or cannot be downloaded.
    """
    if weights == "none":
        return "random weights"
    if weights == "imagenet":
        return f"ImageNet weights {_IMAGENET[backbone]}: " + load_state(model, imagenet_state(backbone), "the ImageNet weights")
    content = read_torch_file(weights_file(Path(weights)))
    same_labels = labels is None or content.get("labels", list(labels)) == list(labels)
    return f"{weights}: " + load_state(model, _state(content, weights), weights, with_head=same_labels)


def imagenet_state(backbone: Backbone = "resnet50") -> dict[str, Tensor]:
    """torchvision's state dict, from torch's cache folder or the network.

    Raises: CommandError: neither has it; the message names the file to put there.
    """
    weights = _IMAGENET[backbone]
    target = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rsplit("/", 1)[-1]
    try:
        return dict(weights.get_state_dict(progress=True, check_hash=True))
    except (URLError, OSError, RuntimeError, UnpicklingError) as problem:
        raise CommandError(
            f"the ImageNet weights cannot be loaded ({problem}); download {weights.url} to {target}, "
            "or start from random weights with `--weights none`, or from a checkpoint with `--weights FILE`"
        ) from problem


def read_state(file: Path) -> dict[str, Tensor]:
    """The state dict in ``file``, without wrappers such as ``{"model": ...}`` and prefixes such as ``module.``.

    ``file`` may be a run folder.

    Raises: CommandError: the file is missing, or is no checkpoint that torch can read safely.
    """
    return _state(read_torch_file(weights_file(file)), str(file))


def _state(content: Mapping[str, object], source: str) -> dict[str, Tensor]:
    for wrapper in _WRAPPERS:
        inner = content.get(wrapper)
        content = inner if isinstance(inner, Mapping) else content
    state = {str(key).removeprefix("module."): value for key, value in content.items() if isinstance(value, Tensor)}
    if not state:
        raise CommandError(f"{source} holds no weights; expected best.pt or last.pt of a run, or a state dict of a ResNet")
    return state


def weights_file(path: Path) -> Path:
    """A file as it is; of a run folder what pre-training or training left there. Raises: CommandError: it has neither yet."""
    if not path.is_dir():
        return path
    for name in ("backbone.pt", "best.pt"):
        if (path / name).exists():
            return path / name
    raise CommandError(f"{path} holds neither backbone.pt nor best.pt; is the run finished?")


def read_torch_file(file: Path) -> Mapping[str, object]:
    """What ``torch.save`` wrote, read without running any code in it.

    Raises: CommandError: the file is missing, or is not such a file.
    """
    try:
        with warnings.catch_warnings():
            # torch warns about foreign pickles that it then refuses
            warnings.simplefilter("ignore")
            content = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError as problem:
        raise CommandError(f"there is no file {file}") from problem
    except (OSError, RuntimeError, UnpicklingError, EOFError, KeyError, ValueError) as problem:
        raise CommandError(f"{file} is not a checkpoint that torch can read safely") from problem
    if not isinstance(content, Mapping):
        raise CommandError(f"{file} is not a checkpoint: it holds a {type(content).__name__}")
    return content


def save_torch_file(content: object, file: Path) -> None:
    """Write by one atomic rename: an interrupted save leaves the old file, or none.

    Raises: CommandError: there is no room for it, or no right to write there.
    """
    unfinished = file.with_suffix(".tmp")
    try:
        torch.save(content, unfinished)
        unfinished.replace(file)
    except (OSError, RuntimeError) as problem:  # torch's own writer raises the latter
        unfinished.unlink(missing_ok=True)
        reason = str(problem).partition("\n")[0]
        raise CommandError(f"{file} cannot be written ({reason}); is the disk full? What was there before is kept") from problem


def load_state(model: VideoClassifier, state: Mapping[str, Tensor], source: str, *, with_head: bool = True) -> str:
    """Copy every tensor of the trunk, and pooling and head where all of both fit and they are wanted.

    Returns how much was loaded, in words.

    Raises: CommandError: a tensor of the trunk is missing or has another shape.
    """
    wanted = model.state_dict()
    given = {_our_name(key): value for key, value in state.items()}
    trunk = [key for key in wanted if key.startswith("trunk.") and not key.endswith("num_batches_tracked")]
    unfit = [key for key in trunk if key not in given or given[key].shape != wanted[key].shape]
    if unfit:
        raise CommandError(
            f"{source} does not fit the backbone: {len(unfit)} of {len(trunk)} tensors are missing or have another shape, "
            f"such as {unfit[0].removeprefix('trunk.')}"
        )
    above = [key for key in wanted if not key.startswith("trunk.")]
    with_head = with_head and all(key in given and given[key].shape == wanted[key].shape for key in above)
    taken = [key for key in wanted if key in given and (with_head or key.startswith("trunk."))]
    model.load_state_dict({key: given[key] for key in taken}, strict=False)
    return f"{len(trunk)} tensors of the trunk loaded, head {'loaded' if with_head else 'starts at random'}"


def _our_name(key: str) -> str:
    if key.startswith("fc."):
        return "head." + key.removeprefix("fc.")
    return key if key.startswith(("trunk.", "temporal.", "head.")) else "trunk." + key
