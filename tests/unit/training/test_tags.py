"""Tags: how they are read, split, counted and refused."""

import json
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

import clipserve
from clips.errors import CommandError, UsageError
from tests.tagged_clips import write_tagged_clips
from training.class_weights import class_weights
from training.dataset import Dataset, LabelledClip, Part, read_dataset
from training.decoding import DecodedClips
from training.presets import resolve_config
from training.split import split_dataset
from training.tags import parse_tags
from training.targets import label_targets


@pytest.mark.parametrize(
    ("field", "tags"),
    [("wave|smile", ("smile", "wave")), (" wave | smile ", ("smile", "wave")), ("wave", ("wave",)), ("", ()), ("  ", ())],
)
def test_a_field_holds_any_number_of_tags(field: str, tags: tuple[str, ...]) -> None:
    assert parse_tags(field) == tags


def csv_file(folder: Path, *lines: str) -> Path:
    for name in ("a.mp4", "b.mp4"):
        (folder / name).write_bytes(name.encode())
    (folder / "clips.csv").write_text("\n".join(lines))
    return folder / "clips.csv"


def test_a_csv_file_gives_tags_and_clips_without_any(tmp_path: Path) -> None:
    dataset = read_dataset(csv_file(tmp_path, "path,label", "a.mp4,wave | smile", "b.mp4,"), "multi_label")
    assert [clip.labels for clip in dataset.clips] == [("smile", "wave"), ()]
    assert [clip.label for clip in dataset.clips] == ["smile|wave", ""]
    assert dataset.labels == ["smile", "wave"]


def test_the_order_of_tags_is_not_part_of_the_fingerprint(tmp_path: Path) -> None:
    first, second = (
        read_dataset(csv_file(tmp_path, "path,label", f"a.mp4,{tags}", "b.mp4,x"), "multi_label").fingerprint()
        for tags in ("wave|smile", "smile|wave")
    )
    assert first == second


def test_of_one_label_a_bar_is_a_letter_like_others(tmp_path: Path) -> None:
    dataset = read_dataset(csv_file(tmp_path, "path,label", "a.mp4,wave|smile", "b.mp4,nod"))
    assert dataset.labels == ["nod", "wave|smile"]
    assert [clip.tags for clip in dataset.clips] == [None, None]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("path,label", "a.mp4,", "b.mp4,wave|nod|wave"), "line 3: the tag 'wave' is there twice"),
        (("path,label", "a.mp4,wave||nod"), r"line 2: a tag of 'wave\|\|nod' is empty"),
        (("path,label", "a.mp4,wave|"), r"line 2: a tag of 'wave\|' is empty"),
        (("path,tags", "a.mp4,wave"), "line 2: there is no column `label`"),
        (("path,label", ",wave"), "line 2: the columns `path` and `label`"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, lines: tuple[str, ...], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        read_dataset(csv_file(tmp_path, *lines), "multi_label")


def test_class_folders_have_no_tags(make_clips) -> None:
    with pytest.raises(UsageError, match="write a CSV file with the columns path,label"):
        read_dataset(make_clips({"red": 1}), "multi_label")


def dataset(*rows: tuple[str, str, Part | None]) -> Dataset:
    """Rows of tags, group, part."""
    clips = tuple(
        LabelledClip(Path(f"{i}.mp4"), f"{i}.mp4", label, group, part, f"hash {i}", parse_tags(label))
        for i, (label, group, part) in enumerate(rows)
    )
    return Dataset("test", clips, "given", "multi_label")


def people(persons: int, seed: int) -> Dataset:
    """Four clips a person; some tags are common, one is rare, and clips of one person are alike."""
    random = np.random.default_rng(seed)
    rows = []
    for person in range(persons):
        likes = random.random(5) < (0.6, 0.5, 0.4, 0.3, 0.15)
        for _ in range(4):
            has = likes & (random.random(5) < 0.8)
            rows.append(("|".join(tag for tag, there in zip("abcde", has, strict=True) if there), f"p{person}", None))
    return dataset(*rows)


@pytest.mark.parametrize("seed", range(8))
def test_tags_are_about_as_frequent_on_both_sides_and_groups_stay_together(seed: int) -> None:
    split = split_dataset(people(40, seed), seed)
    train, val = split.part("train"), split.part("val")
    assert {clip.group for clip in train}.isdisjoint({clip.group for clip in val})
    assert len(val) / len(split.clips) == pytest.approx(0.2, abs=0.06)
    counts = [Counter(tag for clip in part for tag in clip.labels) for part in (train, val)]
    for tag in split.labels:
        held_back = counts[1][tag] / (counts[0][tag] + counts[1][tag])
        assert 0.1 < held_back < 0.4, tag


def test_the_same_seed_gives_the_same_split_of_tags() -> None:
    data = people(20, 1)
    assert split_dataset(data, 3) == split_dataset(data, 3)
    assert split_dataset(data, 3) != split_dataset(data, 4)


def test_many_tags_of_two_groups_each_are_all_in_both_parts() -> None:
    """By chance that would happen once in some millions of splits."""
    rows = [(f"t{tag}", f"g{tag}-{side}", None) for tag in range(20) for side in range(2)]
    split = split_dataset(dataset(*rows), seed=0)
    for part in ("train", "val"):
        assert {label for clip in split.part(part) for label in clip.labels} == set(split.labels)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (dataset(("a", "1", None), ("a", "2", None), ("", "3", None)), r"one tag only \(a\)"),
        (dataset(("", "1", None), ("", "2", None)), r"one tag only \(none\)"),
        (dataset(("a|b", "1", None), ("a", "2", None), ("a|b", "3", None)), "every clip has the tag a"),
        (dataset(("a", "1", None), ("b", "2", None), ("b", "3", None), ("a", "1", None)), "tag a has one clip or group only"),
        (dataset(("a", "1", "train"), ("b", "2", "val"), ("b", "3", "train")), "no clip of tag a is in the val part"),
        (
            dataset(*((tags, group, None) for group, tags in zip("123", ("a|b", "b|c", "a|c"), strict=True))),
            "no split has every tag in both parts",
        ),
    ],
)
def test_tags_that_cannot_be_split_are_refused(data: Dataset, words: str) -> None:
    with pytest.raises(CommandError, match=words):
        split_dataset(data, seed=0)


def decoded(*tags: str) -> DecodedClips:
    clips = [LabelledClip(Path(), str(i), each, str(i), "train", str(i), parse_tags(each)) for i, each in enumerate(tags)]
    return DecodedClips(clips, np.arange(len(clips)), np.zeros((len(clips), 1, 32, 32, 3), np.uint8))


def test_a_target_is_one_for_each_tag() -> None:
    assert label_targets(decoded("b|a", "", "b"), ["a", "b"]).tolist() == [[1, 1], [0, 0], [0, 1]]


def test_rare_tags_weigh_more_where_they_are_to_be_balanced() -> None:
    weights = class_weights(decoded("a|b", "b", "b", "", "b"), ["a", "b"], True, torch.device("cpu"))
    assert weights is not None
    assert weights.tolist() == pytest.approx([5 / 2, 5 / 8])
    assert class_weights(decoded("a|b", "b", ""), ["a", "b"], False, torch.device("cpu")) is None


def test_balanced_sampling_is_refused() -> None:
    with pytest.raises(UsageError, match="--balanced-sampling draws clips by their one label"):
        resolve_config("finetune", {"name": "m", "dataset": "x", "task": "multi_label", "balanced_sampling": True})


def test_validate_counts_tags_and_clips_without_any(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, page, figures = write_tagged_clips(tmp_path, repeats=2), tmp_path / "page.html", tmp_path / "figures.json"
    flags = ("--workers", "0", "--shortest-seconds", "0.1", "--report", str(page), "--json", str(figures))
    assert clipserve.main(["validate", str(data), "--task", "multi_label", *flags]) == 0
    out = capsys.readouterr().out
    assert "16 clips, 3 tags, 2 clips without any" in out
    assert "nothing keeps it from being trained on" in out
    assert json.loads(figures.read_text())["clips_of_each_label"] == {"red": 8, "blue": 8, "green": 8}
    assert "Clips of each tag" in page.read_text()


def test_one_file_with_other_tags_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_tagged_clips(tmp_path, repeats=2)
    (tmp_path / "1.mp4").write_bytes((tmp_path / "0.mp4").read_bytes())
    assert clipserve.main(["validate", str(data), "--task", "multi_label", "--workers", "0"]) == 1
    assert "two labels: 0.mp4, 1.mp4: the same file is labelled with no tag and red" in capsys.readouterr().out


def test_every_combination_of_tags_is_among_the_clips(tmp_path: Path) -> None:
    clips = read_dataset(write_tagged_clips(tmp_path, repeats=1), "multi_label").clips
    wanted = {
        tuple(tag for tag, there in zip(("blue", "green", "red"), has, strict=True) if there)
        for has in product((False, True), repeat=3)
    }
    assert {clip.labels for clip in clips} == wanted
