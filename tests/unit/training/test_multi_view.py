"""Several views of a clip."""

from pathlib import Path

import numpy as np
import pytest

from clips import ClipSpec
from training.dataset import LabelledClip
from training.decoding import DecodedClips
from training.multi_view import Views, classify_views

SPEC = ClipSpec(num_frames=2, height=56, width=56)


def test_one_view_is_the_clip_as_the_server_sees_it() -> None:
    assert Views().stored(SPEC) == SPEC
    stored = np.zeros((1, *SPEC.shape), np.uint8)
    (view,) = Views().of(stored, SPEC)
    assert np.array_equal(view, stored)


def test_views_in_time_take_other_frames_of_each_segment() -> None:
    views = Views(clips=3)
    assert views.stored(SPEC).num_frames == 6
    stored = np.broadcast_to(np.arange(6, dtype=np.uint8)[None, :, None, None, None], (1, 6, 56, 56, 3))
    assert [view[0, :, 0, 0, 0].tolist() for view in views.of(stored, SPEC)] == [[0, 3], [1, 4], [2, 5]]


@pytest.mark.parametrize(
    ("crops", "corners"), [(1, [(0, 0)]), (3, [(4, 4), (0, 0), (8, 8)]), (5, [(4, 4), (0, 0), (8, 8), (0, 8), (8, 0)])]
)
def test_views_in_space_are_the_middle_and_corners_of_a_larger_picture(crops: int, corners: list[tuple[int, int]]) -> None:
    views = Views(crops=crops)
    stored_spec = views.stored(SPEC)
    assert (stored_spec.height, stored_spec.width) == ((64, 64) if crops > 1 else (56, 56))
    stored = np.zeros((1, *stored_spec.shape), np.uint8)
    stored[..., 0] = np.arange(stored_spec.height)[:, None]
    stored[..., 1] = np.arange(stored_spec.width)
    found = views.of(stored, SPEC)
    assert [(int(view[0, 0, 0, 0, 0]), int(view[0, 0, 0, 0, 1])) for view in found] == corners
    assert all(view.shape == (1, *SPEC.shape) for view in found)


def test_probabilities_are_averaged_over_the_views() -> None:
    clips = [LabelledClip(Path(), str(i), "a", str(i), "val", str(i)) for i in range(5)]
    frames = np.broadcast_to(np.array([0, 100], np.uint8)[None, :, None, None, None], (5, 2, 56, 56, 3)).copy()
    decoded = DecodedClips(clips, np.arange(5), frames)
    spec = SPEC.model_copy(update={"num_frames": 1})

    def classify(batch: np.ndarray) -> np.ndarray:
        share = batch.mean(axis=(1, 2, 3, 4)) / 100
        return np.stack([share, 1 - share], axis=1).astype(np.float32)

    assert classify_views(decoded, classify, spec, Views(clips=2), "x").tolist() == [[0.5, 0.5]] * 5
