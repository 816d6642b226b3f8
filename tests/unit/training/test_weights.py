"""Start weights from files, and what a wrong file says."""

import pickle
import resource
from pathlib import Path

import pytest
import torch
from torchvision.models import resnet18, resnet50

from clips.errors import CommandError
from training.model import VideoClassifier
from training.weights import load_start_weights, read_state, save_torch_file


@pytest.fixture(scope="module")
def model() -> VideoClassifier:
    return VideoClassifier(3)


def test_a_state_dict_of_torchvision_fits_and_its_head_is_left_out(model: VideoClassifier, big_files: Path) -> None:
    torch.manual_seed(5)
    other = resnet50(weights=None)
    torch.save({"state_dict": {f"module.{k}": v for k, v in other.state_dict().items()}}, big_files / "other.pth")
    report = load_start_weights(model, str(big_files / "other.pth"))
    assert "265 tensors of the trunk loaded, head starts at random" in report
    assert torch.equal(model.trunk.layer4[2].conv3.weight, other.layer4[2].conv3.weight)


def test_a_model_of_ours_comes_back_with_its_head(model: VideoClassifier, big_files: Path) -> None:
    other = VideoClassifier(3)
    torch.save({"model": other.state_dict()}, big_files / "best.pt")
    assert "head loaded" in load_start_weights(model, str(big_files / "best.pt"))
    assert torch.equal(model.head.weight, other.head.weight)


def test_a_head_for_other_labels_is_left_out(model: VideoClassifier, big_files: Path) -> None:
    """As many labels as ours, so that its shape fits."""
    torch.save({"model": VideoClassifier(3).state_dict(), "labels": ["a", "b", "c"]}, big_files / "best.pt")
    assert "head loaded" in load_start_weights(model, str(big_files / "best.pt"), labels=["a", "b", "c"])
    before = model.head.weight.clone()
    assert "head starts at random" in load_start_weights(model, str(big_files / "best.pt"), labels=["a", "b", "d"])
    assert torch.equal(model.head.weight, before)


def test_another_network_does_not_fit(model: VideoClassifier, big_files: Path) -> None:
    torch.save(resnet18(weights=None).state_dict(), big_files / "r18.pth")
    with pytest.raises(CommandError, match=r"does not fit the backbone: .* such as layer1"):
        load_start_weights(model, str(big_files / "r18.pth"))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", pickle.dumps(print), pickle.dumps([1, 2])])
def test_a_file_that_is_no_checkpoint_is_refused_and_never_run(model: VideoClassifier, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(CommandError, match=r"x\.pt is not a checkpoint"):
        load_start_weights(model, str(tmp_path / "x.pt"))


def test_a_checkpoint_without_weights_is_refused(model: VideoClassifier, tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "x.pt")
    with pytest.raises(CommandError, match="holds no weights"):
        load_start_weights(model, str(tmp_path / "x.pt"))


def test_a_missing_file_is_named(model: VideoClassifier) -> None:
    with pytest.raises(CommandError, match=r"there is no file nowhere\.pt"):
        load_start_weights(model, "nowhere.pt")


def test_weights_that_cannot_be_downloaded_say_where_to_put_the_file(
    model: VideoClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for proxy in ("http_proxy", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")
    with pytest.raises(CommandError) as refusal:
        load_start_weights(model, "imagenet")
    assert str(tmp_path / "hub" / "checkpoints" / "resnet50-11ad3fa6.pth") in str(refusal.value)
    assert "--weights none" in str(refusal.value)


def test_a_damaged_file_in_the_cache_is_reported(
    model: VideoClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / "resnet50-11ad3fa6.pth").write_bytes(b"half a file")
    with pytest.raises(CommandError, match="cannot be loaded"):
        load_start_weights(model, "imagenet")


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "last.pt"
    save_torch_file({"a": torch.ones(3)}, file)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(CommandError, match="cannot be written"):
            save_torch_file({"a": torch.ones(100_000)}, file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert torch.equal(read_state(file)["a"], torch.ones(3))
    assert [entry.name for entry in tmp_path.iterdir()] == ["last.pt"]
