"""A student learns from a trained model: its answers in the order of its own labels, and which clips are alike."""

from pathlib import Path

import pytest
import torch

from clips.errors import CommandError
from training.checkpoint import Checkpoint
from training.device import choose_device
from training.interruption import Interruption
from training.presets import resolve_config
from training.train import train
from training.trained_teacher import Teacher, similarities

TINY = {"name": "m", "size": 32, "batch_size": 4, "workers": 0, "device": "cpu", "weights": "none", "epochs": 1, "patience": 0}
NARROW = {"backbone": "resnet18", "temporal_width": 64, "ema_decay": 0, "precision": "fp32"}


@pytest.fixture
def data(make_clips) -> Path:
    return make_clips({"red": 4, "green": 4})


@pytest.fixture
def teacher(data: Path, big_files: Path) -> Path:
    """Looks at four frames with a transformer."""
    changes = {"name": "teacher", "dataset": str(data), "num_frames": 4, "frame_choices": 1, "temporal": "transformer"}
    return train(resolve_config("finetune", TINY | NARROW | changes), None, big_files, Interruption()).best


def student(data: Path, teacher: Path, **changes: object) -> dict[str, object]:
    return TINY | NARROW | {"dataset": str(data), "num_frames": 2, "frame_choices": 2, "teacher": str(teacher)} | changes


def test_a_student_of_few_frames_learns_from_a_teacher_of_many(data: Path, teacher: Path, big_files: Path) -> None:
    run = train(resolve_config("finetune", student(data, teacher)), None, big_files, Interruption())
    left = Checkpoint.load(run.last).model
    assert left["head.weight"].shape == (2, 512)
    assert not any(key.startswith("temporal.") for key in left), "nothing of the teacher is left in the student"


def test_what_it_makes_small_brings_the_students_answers_nearer(data: Path, teacher: Path) -> None:
    config = resolve_config("finetune", student(data, teacher, teacher_weight=1.0))
    found = Teacher.load(config, ["green", "red"], choose_device("cpu", "fp32"))
    assert found
    before = {name: value.clone() for name, value in found.model.state_dict().items()}
    clips = torch.randint(0, 256, (4, 4, 32, 32, 3), generator=torch.Generator().manual_seed(0)).float()
    logits = torch.zeros(4, 2, requires_grad=True)
    optimiser = torch.optim.SGD([logits], lr=1.0)
    for _ in range(200):
        optimiser.zero_grad()
        found.loss(torch.tensor(0.0), logits, torch.eye(4), clips).backward()
        optimiser.step()
    expected = found.answers(clips)[0].softmax(dim=1)
    torch.testing.assert_close(logits.detach().softmax(dim=1), expected, atol=0.01, rtol=0)
    assert all(torch.equal(value, before[name]) for name, value in found.model.state_dict().items())
    assert not found.model.training


def test_its_answers_come_in_the_order_of_the_students_labels(data: Path, teacher: Path) -> None:
    config = resolve_config("finetune", student(data, teacher))
    device = choose_device("cpu", "fp32")
    clips = torch.randint(0, 256, (2, 4, 32, 32, 3)).float()
    answers = [
        found.answers(clips)[0]
        for labels in (["green", "red"], ["red", "green"])
        if (found := Teacher.load(config, labels, device))
    ]
    assert torch.equal(answers[0], answers[1].flip(1))


def test_with_all_the_weight_on_a_teacher_that_agrees_nothing_is_left_to_learn(data: Path, teacher: Path) -> None:
    config = resolve_config("finetune", student(data, teacher, teacher_weight=1.0, teacher_feature_weight=1.0))
    found = Teacher.load(config, ["green", "red"], choose_device("cpu", "fp32"))
    assert found
    clips = torch.randint(0, 256, (3, 4, 32, 32, 3)).float()
    logits, features = found.answers(clips)
    loss = found.loss(torch.tensor(7.0), logits, features, clips)
    assert loss.item() == pytest.approx(0, abs=1e-6)
    other = found.loss(torch.tensor(7.0), logits.flip(0), features.flip(0), clips)
    assert other > loss


def test_a_teacher_that_does_not_know_a_label_is_refused(data: Path, teacher: Path) -> None:
    config = resolve_config("finetune", student(data, teacher))
    with pytest.raises(CommandError, match="does not know the label 'blue'"):
        Teacher.load(config, ["blue", "red"], choose_device("cpu", "fp32"))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"num_frames": 3, "frame_choices": 1}, "looks at 4 frames and 3 are stored"),
        ({"size": 64}, "give the run the same --size"),
        ({"sampling": "exact"}, "give the run the same --size, --fit and --sampling"),
    ],
)
def test_a_teacher_of_other_clips_is_refused(data: Path, teacher: Path, changes: dict[str, object], complaint: str) -> None:
    config = resolve_config("finetune", student(data, teacher, **changes))
    with pytest.raises(CommandError, match=complaint):
        Teacher.load(config, ["green", "red"], choose_device("cpu", "fp32"))


def test_it_sees_the_middle_of_each_of_its_segments(data: Path, teacher: Path) -> None:
    config = resolve_config("finetune", student(data, teacher, frame_choices=6))
    found = Teacher.load(config, ["green", "red"], choose_device("cpu", "fp32"))
    assert found
    stored = torch.arange(12).view(1, 12, 1, 1, 1).expand(1, 12, 32, 32, 3).float()
    torch.testing.assert_close(found.answers(stored)[0], found.answers(stored[:, 1::3])[0])


def test_similarities_are_those_between_clips_whatever_the_number_of_features() -> None:
    few, many = torch.eye(2), torch.cat([torch.eye(2), torch.zeros(2, 5)], dim=1)
    torch.testing.assert_close(similarities(few), similarities(many))
    assert similarities(torch.ones(3, 4)).shape == (3, 3)
