"""Nothing that was trained on is measured on."""

from pathlib import Path

import pytest

from clips.errors import CommandError
from training.dataset import Dataset, LabelledClip, Part
from training.split import split_dataset


def dataset(*rows: tuple[str, str, Part | None], contents: tuple[str, ...] = ()) -> Dataset:
    """Rows of label, group, part; contents differ unless given."""
    clips = tuple(
        LabelledClip(Path(f"{i}.mp4"), f"{i}.mp4", label, group, part, contents[i] if contents else f"hash {i}")
        for i, (label, group, part) in enumerate(rows)
    )
    return Dataset("test", clips, "given")


def people(clips_per_person: int = 3, persons: int = 5) -> Dataset:
    names = [(label, f"{label}-{person}") for label in ("lunge", "squat") for person in range(persons)]
    return dataset(*((label, group, None) for label, group in names for _ in range(clips_per_person)))


def test_a_group_stays_on_one_side() -> None:
    split = split_dataset(people(), seed=0)
    assert {c.group for c in split.part("train")}.isdisjoint({c.group for c in split.part("val")})


def test_every_class_is_on_both_sides_and_about_a_fifth_is_held_back() -> None:
    split = split_dataset(people(), seed=0)
    for part in ("train", "val"):
        assert {clip.label for clip in split.part(part)} == {"lunge", "squat"}
    assert len(split.part("val")) / len(split.clips) == pytest.approx(0.2)


def test_the_same_seed_gives_the_same_split() -> None:
    assert split_dataset(people(), seed=3) == split_dataset(people(), seed=3)
    assert split_dataset(people(), seed=3) != split_dataset(people(), seed=4)


def test_two_clips_a_class_are_enough() -> None:
    split = split_dataset(people(clips_per_person=1, persons=2), seed=0)
    assert len(split.part("val")) == 2


def test_a_given_split_is_kept() -> None:
    given = dataset(("a", "1", "train"), ("a", "2", "val"), ("b", "3", "val"), ("b", "4", "train"))
    assert split_dataset(given, seed=0) == given


def test_a_split_that_cuts_through_a_group_is_refused_by_name() -> None:
    leaky = dataset(("a", "anna", "train"), ("a", "anna", "val"), ("b", "3", "val"), ("b", "4", "train"))
    with pytest.raises(CommandError, match=r"leaks: 1 group.*anna \(0\.mp4, 1\.mp4\)"):
        split_dataset(leaky, seed=0)


def test_a_split_with_one_file_on_both_sides_is_refused() -> None:
    rows: tuple[tuple[str, str, Part], ...] = (("a", "1", "train"), ("a", "2", "val"), ("b", "3", "val"), ("b", "4", "train"))
    with pytest.raises(CommandError, match="leaks: 1 file content"):
        split_dataset(dataset(*rows, contents=("x", "x", "y", "z")), seed=0)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (dataset(("a", "1", None), ("a", "2", None)), "one class only"),
        (dataset(("a", "1", None), ("a", "2", None), ("b", "3", None)), "class b has one clip or group only"),
        (dataset(("a", "1", None), ("a", "2", None), ("b", "3", None), ("b", "3", None)), "class b has one clip or group"),
        (dataset(("a", "1", "train"), ("a", "2", None), ("b", "3", "val")), "empty for 1 clips"),
        (dataset(("a", "1", "train"), ("a", "2", "val"), ("b", "3", "val")), "no clip of class b is in the train part"),
    ],
)
def test_data_that_cannot_be_split_is_refused(data: Dataset, words: str) -> None:
    with pytest.raises(CommandError, match=words):
        split_dataset(data, seed=0)
