"""One draw per clip, the same for all of its frames."""

import torch

from training.augment import Augmentation

ALL = Augmentation(size=24, flip=True, crop_scale_min=0.3, colour=0.4, hue=0.1, grey=0.3, blur=0.5)


def moving_clip(frames: int = 3) -> torch.Tensor:
    """All frames alike, with structure in space and colour: (1, frames, 32, 32, 3), uint8."""
    picture = torch.randint(0, 256, (32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    return picture.expand(1, frames, -1, -1, -1)


def test_all_frames_of_a_clip_change_alike() -> None:
    out = ALL(moving_clip(), [0])
    assert out.shape == (1, 3, 24, 24, 3)
    assert torch.equal(out[0, 0], out[0, 1])
    assert torch.equal(out[0, 0], out[0, 2])


def test_random_operations_change_all_frames_alike_and_some_clips() -> None:
    operations = Augmentation(size=32, flip=False, crop_scale_min=1.0, colour=0.0, rand_augment=9)
    views = [operations(moving_clip(), [seed]) for seed in range(8)]
    assert all(torch.equal(view[0, 0], view[0, 1]) and torch.equal(view[0, 0], view[0, 2]) for view in views)
    assert sum(not torch.equal(view, moving_clip().float()) for view in views) >= 4
    assert torch.equal(views[0], operations(moving_clip(), [0]))


def test_clips_of_a_batch_change_differently() -> None:
    out = ALL(moving_clip().repeat(2, 1, 1, 1, 1), [0, 1])
    assert not torch.equal(out[0], out[1])


def test_pixels_stay_between_0_and_255() -> None:
    views = ALL(moving_clip().repeat(20, 1, 1, 1, 1), range(20))
    assert views.min() >= 0
    assert views.max() <= 255


def test_the_same_seed_gives_the_same_view() -> None:
    assert torch.equal(ALL(moving_clip(), [7]), ALL(moving_clip(), [7]))


def test_without_any_change_a_clip_is_what_it_was() -> None:
    nothing = Augmentation(size=32, flip=False, crop_scale_min=1.0, colour=0.0)
    assert torch.equal(nothing(moving_clip(), [0]), moving_clip().float())


def test_a_flip_mirrors_left_and_right() -> None:
    flips = Augmentation(size=32, flip=True, crop_scale_min=1.0, colour=0.0)
    views = [flips(moving_clip(), [seed]) for seed in range(20)]
    mirrored = moving_clip().float().flip(3)
    assert any(torch.equal(view, mirrored) for view in views)
    assert any(torch.equal(view, moving_clip().float()) for view in views)


def test_hue_turns_colours_and_keeps_what_has_none() -> None:
    turned = Augmentation(size=32, flip=False, crop_scale_min=1.0, colour=0.0, hue=0.5)
    assert not torch.allclose(turned(moving_clip(), [0]), moving_clip().float(), atol=9)
    without_colour = torch.full_like(moving_clip(), 90)
    assert torch.allclose(turned(without_colour, [0]), without_colour.float(), atol=1e-2)


def test_the_given_share_of_clips_loses_its_colours() -> None:
    views = Augmentation(size=32, flip=False, crop_scale_min=1.0, colour=0.0, grey=0.25)(
        moving_clip().repeat(200, 1, 1, 1, 1), range(200)
    )
    grey = (views.amax(dim=-1) - views.amin(dim=-1)).amax(dim=(1, 2, 3)) < 1e-3
    assert 30 <= grey.sum() <= 70
    assert torch.equal(views[~grey][0], moving_clip()[0].float())


def test_the_given_share_of_clips_loses_its_sharpness() -> None:
    views = Augmentation(size=32, flip=False, crop_scale_min=1.0, colour=0.0, blur=0.5)(
        moving_clip().repeat(200, 1, 1, 1, 1), range(200)
    )
    sharp = torch.tensor([torch.equal(view, moving_clip()[0].float()) for view in views])
    assert 70 <= sharp.sum() <= 130
    assert views[~sharp].std() < moving_clip().float().std()
    assert torch.allclose(views[~sharp].mean(), moving_clip().float().mean(), atol=3)
