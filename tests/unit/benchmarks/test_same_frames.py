"""Whether a contestant returned the wanted frames, and how the ratios are taken from the times."""

import numpy as np
import pytest

from benchmarks.decoding.contestant import Contestant, Frames
from benchmarks.decoding.figures import overall, set_figures
from benchmarks.decoding.measure import Measured
from benchmarks.decoding.same_frames import AROUND, Verdict, judge, shrunk

FRAMES = 4


@pytest.fixture
def video() -> Frames:
    """A picture that moves by 4 px a frame; the wanted frames are the numbers AROUND, AROUND + 1, and so on."""
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    return np.stack([np.roll(picture, 4 * number, axis=1) for number in range(2 * AROUND + FRAMES)])


@pytest.fixture
def around(video: Frames) -> Frames:
    return np.stack([shrunk(video[place : place + 2 * AROUND + 1]) for place in range(FRAMES)])


def test_frames_that_differ_by_rounding_are_right(video: Frames, around: Frames) -> None:
    ours = video[AROUND : AROUND + FRAMES]
    assert judge(np.clip(ours, 2, 253), ours, around).is_right


def test_a_neighbour_is_found_and_named(video: Frames, around: Frames) -> None:
    ours = video[AROUND : AROUND + FRAMES]
    theirs = ours.copy()
    theirs[2] = video[AROUND + 2 + 3]
    verdict = judge(theirs, ours, around)
    assert not verdict.is_right
    assert verdict.reason == "1 of 4 frames +3"


def test_other_colours_and_a_turned_picture_are_remarks(video: Frames, around: Frames) -> None:
    ours = video[AROUND : AROUND + FRAMES]
    verdict = judge(np.rot90(ours // 3, 1, (1, 2)), ours, around)
    assert verdict.is_right
    assert "turned" in verdict.reason
    assert "other colours" in verdict.reason


def test_grey_pictures_are_wrong(video: Frames, around: Frames) -> None:
    ours = video[AROUND : AROUND + FRAMES]
    assert not judge(np.full_like(ours, 128), ours, around).is_right


def test_a_peer_with_wrong_frames_is_no_fastest_right_peer() -> None:
    measured = Measured("a set", ["v"])
    measured.seconds["ours_exact"]["v"] = [1.0, 9.0, 2.0]
    measured.seconds["floor_exact"]["v"] = [1.0]
    measured.seconds["wrong"]["v"] = [1.0]
    measured.seconds["right"]["v"] = [6.0]
    measured.verdicts["wrong"]["v"] = Verdict(False, "1 of 8 frames +1", 3.0)
    measured.verdicts["right"]["v"] = Verdict(True, "", 1.0)
    names = {"ours_exact": False, "floor_exact": False, "wrong": True, "right": True}
    figures = set_figures(measured, [Contestant(name, "", is_peer) for name, is_peer in names.items()])
    ratios = figures["ratios"]["ours_exact"]
    assert ratios["fastest_right_peer"]["by_video"] == {"v": [3.0, "right"]}
    assert ratios["fastest_peer"]["by_video"] == {"v": [0.5, "wrong"]}
    assert ratios["times_the_floor"] == 2.0
    assert overall({"a": figures}) == {"ours_exact": 3.0}
