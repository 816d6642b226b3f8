"""Small videos with tags: each corner of the picture has the colour of its tag, or none. Tags come independently."""

import csv
from itertools import product
from pathlib import Path

import numpy as np

from tests.videos import Picture, encode

TAGS = ("blue", "green", "red")
_COLOURS = {"blue": (30, 30, 230), "green": (30, 220, 30), "red": (230, 30, 30)}
_SIDE = 48


def tagged_video(tags: set[str], seed: int, num_frames: int = 6) -> bytes:
    """Grey of another brightness for each seed, with a corner of the colour of each tag."""
    random = np.random.default_rng(seed)
    picture: Picture = np.full((_SIDE, _SIDE, 3), random.integers(40, 200), np.uint8)
    half = _SIDE // 2
    for number, tag in enumerate(TAGS):
        if tag in tags:
            top, left = half * (number // 2), half * (number % 2)
            picture[top : top + half, left : left + half] = np.clip(
                np.array(_COLOURS[tag]) + random.integers(-25, 26, 3), 0, 255
            )
    return encode([picture] * num_frames)


def write_tagged_clips(folder: Path, repeats: int) -> Path:
    """``clips.csv`` beside every combination of tags ``repeats`` times, none of them included; each repeat is a group."""
    rows = []
    for number, (repeat, *has) in enumerate(product(range(repeats), *[(False, True)] * len(TAGS))):
        tags = {tag for tag, there in zip(TAGS, has, strict=True) if there}
        (folder / f"{number}.mp4").write_bytes(tagged_video(tags, number))
        rows.append((f"{number}.mp4", "|".join(sorted(tags, reverse=True)), f"person {repeat}-{number % 2}"))
    with (folder / "clips.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "group"), *rows])
    return folder / "clips.csv"
