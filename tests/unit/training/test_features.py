"""Stored features, in memory and on disk."""

from pathlib import Path

import numpy as np
import pytest
import torch

from clips.errors import CommandError
from tests.unit.training.test_fit import assert_same, moving_clips
from tests.videos import encode, grainy_picture
from training.checkpoint import Checkpoint
from training.config import TrainingConfig
from training.dataset import LabelledClip, read_dataset
from training.decoding import DecodedClips
from training.device import choose_device
from training.feature_cache import FeatureCache, weights_hash
from training.features import Trunk, open_cache, training_looks, validation_look
from training.feeding import TrainingBatches, ValidationBatches, Variety
from training.interruption import Interruption
from training.mixing import Mixing
from training.model import VideoClassifier
from training.presets import resolve_config
from training.targets import label_targets
from training.train import train

TINY = {"name": "m", "size": 32, "num_frames": 2, "frame_choices": 2, "batch_size": 4, "workers": 0, "device": "cpu"}
HEAD_ALONE = {"weights": "none", "backbone": "resnet18", "temporal_width": 64, "epochs": 0, "head_epochs": 3, "head_views": 2}
VIEWS = 2


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four clips of each of two labels; six of them are trained on."""
    return moving_clips(tmp_path / "moving")


@pytest.fixture
def cache(big_files: Path) -> Path:
    return big_files / "cache"


def config(data: Path, preset: str = "finetune", **changes: object) -> TrainingConfig:
    return resolve_config(preset, {**TINY, **HEAD_ALONE, "dataset": str(data), "val_fraction": 0.25, **changes})


def trained(settings: TrainingConfig, runs: Path) -> list[object]:
    """Weights and results."""
    last = Checkpoint.load(train(settings, None, runs, Interruption()).last)
    return [last.model, last.training]


@pytest.mark.parametrize(
    "changes",
    [
        {"temporal": "average", "precision": "fp32"},
        {"temporal": "shift", "precision": "fp32"},
        {"temporal": "lstm", "precision": "bf16"},
    ],
    ids=lambda changes: changes["temporal"],
)
def test_a_head_learns_the_same_from_features_on_disk(
    data: Path, cache: Path, big_files: Path, changes: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    """Bit for bit: without a cache, while it is filled, and from it alone."""
    online = trained(config(data, **changes), big_files)
    assert "feature cache" not in capsys.readouterr().out
    for told in (f"0 found, {6 * VIEWS + 2} computed", f"{6 * VIEWS + 2} found, 0 computed"):
        assert_same(online, trained(config(data, feature_cache=str(cache), **changes), big_files))
        assert f"feature cache: {told}; {cache}" in capsys.readouterr().out


def test_another_head_needs_neither_the_backbone_nor_the_decoder(
    data: Path, cache: Path, big_files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(config(data, feature_cache=str(cache)), big_files)
    assert "not decoded" not in capsys.readouterr().out
    other = config(data, feature_cache=str(cache), head_learning_rate=0.1, dropout=0.0, loss="focal")
    from_disk = trained(other, big_files)
    out = capsys.readouterr().out
    assert "training clips are not decoded: their features are in the cache" in out
    assert "14 found, 0 computed" in out
    assert_same(trained(other.model_copy(update={"feature_cache": ""}), big_files), from_disk)


def test_a_run_that_goes_on_to_deeper_layers_decodes_its_clips(
    data: Path, cache: Path, big_files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for told in ("0 found, 14 computed", "14 found, 0 computed"):
        trained(config(data, feature_cache=str(cache), epochs=1), big_files)
        out = capsys.readouterr().out
        assert told in out
        assert "not decoded" not in out


def test_a_file_that_changed_is_computed_again_and_no_other(
    data: Path, cache: Path, big_files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = config(data, feature_cache=str(cache))
    run = train(settings, None, big_files, Interruption())
    lines = run.split.read_text().splitlines()
    changed = data / next(line for line in lines if ",train," in line).split(",")[0]
    capsys.readouterr()
    changed.write_bytes(encode([grainy_picture(frame + 41) for frame in range(8)]))
    again = data / "clips.csv"
    again.write_text("path,label,group,split\n" + "\n".join(line.rsplit(",", 1)[0] for line in lines[1:]) + "\n")
    from_disk = trained(settings.model_copy(update={"dataset": str(again)}), big_files)
    assert f"{5 * VIEWS + 2} found, {VIEWS} computed" in capsys.readouterr().out
    assert_same(trained(settings.model_copy(update={"dataset": str(again), "feature_cache": ""}), big_files), from_disk)


@pytest.mark.parametrize(
    "change",
    [
        {"size": 64},
        {"num_frames": 1},
        {"frame_choices": 1},
        {"fit": "stretch"},
        {"sampling": "exact"},
        {"flip": False},
        {"crop_scale_min": 0.5},
        {"colour": 0.1},
        {"rand_augment": 5},
        {"seed": 1},
        {"backbone": "resnet34"},
        {"temporal": "shift"},
        {"temporal": "lstm"},
        {"precision": "bf16"},
        {"batch_size": 5},
    ],
    ids=str,
)
def test_whatever_changes_a_feature_changes_its_name(data: Path, cache: Path, change: dict[str, object]) -> None:
    assert not names(config(data, feature_cache=str(cache)), 0) & names(config(data, feature_cache=str(cache), **change), 0)


def test_other_weights_of_the_backbone_change_the_name(data: Path, cache: Path) -> None:
    settings = config(data, feature_cache=str(cache))
    assert not names(settings, weights=0) & names(settings, weights=1)


@pytest.mark.parametrize(
    "change",
    [{"head_learning_rate": 0.5}, {"loss": "focal"}, {"label_smoothing": 0.0}, {"head_epochs": 9}, {"name": "n"}],
    ids=str,
)
def test_what_belongs_to_the_head_does_not(data: Path, cache: Path, change: dict[str, object]) -> None:
    assert names(config(data, feature_cache=str(cache)), 0) == names(config(data, feature_cache=str(cache), **change), 0)


def names(settings: TrainingConfig, weights: int) -> set[str]:
    """Of the entries of one training clip."""
    torch.manual_seed(weights)
    model = VideoClassifier(2, architecture=settings.architecture)
    found = open_cache(model, settings, choose_device("cpu", settings.precision if settings.precision != "auto" else "fp32"))
    assert found
    return {found.key("ab", look.key) for look in training_looks(settings)}


def test_every_value_of_the_backbone_counts() -> None:
    state = {"conv": torch.zeros(2, 3), "bn.num_batches_tracked": torch.tensor(0)}
    same = state | {"bn.num_batches_tracked": torch.tensor(7)}
    assert weights_hash(state) == weights_hash(same)
    changed = {"conv": torch.zeros(2, 3).index_fill(1, torch.tensor(2), 1e-30)}
    others = [changed, {"conv2": state["conv"]}, {"conv": torch.zeros(3, 2)}, {"conv": torch.zeros(2, 3).half()}]
    assert len({weights_hash(each) for each in (state, *others)}) == 5


class SomeTrunk:
    """A backbone with random weights, and eight clips of noise."""

    def __init__(self, settings: TrainingConfig, data: Path) -> None:
        torch.manual_seed(0)
        self.settings, self.device = settings, choose_device("cpu", "fp32")
        self.model = VideoClassifier(2, architecture=settings.architecture).eval()
        self.clips = list(read_dataset(data).clips)
        self.frames = np.random.default_rng(0).integers(0, 256, (8, *settings.store_spec.shape), dtype=np.uint8)

    def features(self, chosen: list[int], *, cached: bool = False) -> torch.Tensor:
        """One view of some of the clips."""
        decoded = DecodedClips([self.clips[at] for at in chosen], np.array(chosen), self.frames)
        targets = label_targets(decoded, ["down", "up"])
        batches = TrainingBatches(decoded, targets, 4, 2, Variety(self.settings.augmentation, Mixing()))
        cache = open_cache(self.model, self.settings, self.device) if cached else None
        return Trunk(self.model, self.device, cache, lambda: None).features(batches, training_looks(self.settings)[-1], "x")

    def validation_features(self) -> torch.Tensor:
        """All of the clips as the server sees them."""
        decoded = DecodedClips(self.clips, np.arange(8), self.frames)
        batches = ValidationBatches(decoded, ["down", "up"], 4, self.device.torch_device)
        return Trunk(self.model, self.device, None, lambda: None).features(batches, validation_look(self.settings), "x")


def test_a_feature_does_not_depend_on_the_clips_beside_it(data: Path, cache: Path) -> None:
    """Some are computed with others in two full batches, the rest in a batch that is not full."""
    trunk = SomeTrunk(config(data, feature_cache=str(cache)), data)
    whole = trunk.features(list(range(8)))
    shuffled = [5, 0, 7, 2, 6]
    assert torch.equal(trunk.features(shuffled), whole[shuffled])
    assert len({row.numpy().tobytes() for row in whole}) == 8
    trunk.features([3, 1], cached=True)
    assert torch.equal(trunk.features(list(range(8)), cached=True), whole), "part of it from the disk"


def test_where_nothing_is_random_training_clips_are_looked_at_as_validation_clips_are(data: Path) -> None:
    settings = config(data, "probe", head_views=5, frame_choices=1)
    assert training_looks(settings) == [validation_look(settings)]
    trunk = SomeTrunk(settings, data)
    assert torch.equal(trunk.features(list(range(8))), trunk.validation_features())


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-1], lambda content: content[:50] + b"x" + content[51:], lambda _: b""]
)
def test_a_damaged_entry_is_told_and_computed_again(
    data: Path, cache: Path, damage, capsys: pytest.CaptureFixture[str]
) -> None:
    trunk = SomeTrunk(config(data, feature_cache=str(cache)), data)
    whole = trunk.features(list(range(8)), cached=True)
    entry = sorted(file for file in cache.glob("*/*"))[3]
    intact = entry.read_bytes()
    entry.write_bytes(damage(intact))
    assert torch.equal(trunk.features(list(range(8)), cached=True), whole)
    assert capsys.readouterr().out == f"feature cache: {entry} is damaged and removed; its clip is computed again\n"
    assert entry.read_bytes() == intact


def test_an_entry_under_a_wrong_name_is_damaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = FeatureCache(tmp_path, {})
    features = np.arange(6, dtype=np.float32).reshape(2, 3)
    first, second = cache.key("ab", {}), cache.key("cd", {})
    cache.write(first, features)
    assert np.array_equal(cache.read(first), features)
    (tmp_path / second[:2]).mkdir(exist_ok=True)
    (tmp_path / first[:2] / first).rename(tmp_path / second[:2] / second)
    assert cache.read(first) is None
    assert cache.read(second) is None
    assert "is damaged" in capsys.readouterr().out
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


def test_a_folder_that_cannot_be_used_stops_the_run_with_a_remedy(data: Path, big_files: Path) -> None:
    (big_files / "file").write_text("")
    with pytest.raises(CommandError, match=r"--feature-cache .*file cannot be read: Not a directory; give another folder"):
        train(config(data, feature_cache=str(big_files / "file")), None, big_files, Interruption())
    with pytest.raises(CommandError, match="cannot be written: "):
        FeatureCache(big_files / "file", {}).write("ab", np.zeros((1, 1), np.float32))


def test_frames_that_were_not_decoded_are_never_read() -> None:
    clip = LabelledClip(Path(), "a", "a", "a", "train", "a")
    decoded = DecodedClips.without_frames([clip, clip], resolve_config("probe", {"name": "m", "dataset": "d"}).store_spec)
    assert len(decoded) == 2
    with pytest.raises(IndexError):
        decoded.read([0])
