"""A folder of pictures: what is found in it, and that it comes out as frames of videos do."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clips import ClipSpec, load_clip
from clips.errors import UsageError
from tests.videos import Picture, encode, solid_picture
from training.pictures import read_pictures, read_stored_pictures

SPEC = ClipSpec(num_frames=1, height=36, width=36)


def write(folder: Path, **pictures: Picture) -> Path:
    """``write(folder, a__b_jpg=picture)`` writes ``a/b.jpg``."""
    for name, picture in pictures.items():
        file = folder / name.replace("__", "/").replace("_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(file, quality=95)
    return folder


def shades(width: int, height: int) -> Picture:
    """Red grows to the right and green downwards, so that every cut and every turn shows."""
    red, green = np.linspace(30, 220, width)[None, :, None], np.linspace(30, 220, height)[:, None, None]
    whole = np.concatenate(np.broadcast_arrays(red, green, np.full((1, 1, 1), 100.0)), axis=2)
    return whole.round().astype(np.uint8)


@pytest.mark.parametrize(("width", "height"), [(96, 48), (48, 96), (320, 240), (24, 24)])
def test_a_picture_is_scaled_and_cut_like_the_frames_of_a_video(width: int, height: int, tmp_path: Path) -> None:
    picture = shades(width, height)
    [stored] = read_stored_pictures(write(tmp_path, a_png=picture), SPEC).frames
    frame = load_clip(encode([picture] * 2), SPEC).frames[0]
    assert stored.shape == frame.shape
    assert stored.dtype == np.uint8
    assert np.abs(stored.astype(int) - frame).mean() < 4


def test_a_folder_is_searched_with_its_subfolders_and_no_file_content_comes_twice(tmp_path: Path) -> None:
    red, green, blue = (solid_picture(colour) for colour in ((200, 0, 0), (0, 200, 0), (0, 0, 200)))
    write(tmp_path, b_png=red, a__deep__c_jpg=green, copy_png=red, z_jpeg=blue)
    (tmp_path / "notes.txt").write_text("n")
    (tmp_path / "._b.png").write_text("what a Mac leaves beside b.png")
    stored = read_stored_pictures(tmp_path, SPEC)
    assert [picture[0, 0].argmax() for picture in stored.frames] == [1, 0, 2]
    assert len(set(stored.sha256)) == len(stored) == 3
    assert len(read_pictures(tmp_path)) == 4


@pytest.mark.parametrize("picture", [solid_picture((9, 9, 9))[..., 0], np.full((8, 8, 4), 9, np.uint8)])
def test_greys_and_transparency_become_rgb(picture: Picture, tmp_path: Path) -> None:
    [stored] = read_stored_pictures(write(tmp_path, a_png=picture), SPEC).frames
    assert (stored == 9).all()


@pytest.mark.parametrize("read", [read_pictures, lambda folder: read_stored_pictures(folder, SPEC)])
def test_a_picture_of_16_bits_is_named_and_not_turned_white(read, tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 9000, np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(UsageError, match=r"a\.png has more than 8 bits a channel; convert it to 8"):
        read(tmp_path)


def test_a_picture_stands_as_the_camera_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned to the right
    Image.fromarray(shades(96, 48)).save(tmp_path / "a.jpg", quality=95, exif=exif)
    [stored] = read_pictures(tmp_path)
    assert stored.shape[0] > stored.shape[1]
    assert stored[:, :, 0].mean(axis=1)[0] < stored[:, :, 0].mean(axis=1)[-1], "red grows downwards now"


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("", b"", "gone is no folder of pictures"),
        ("gone/a.txt", b"a", "gone holds no JPEG or PNG pictures"),
        ("gone/a.jpg", b"a", "a.jpg is not a readable picture; remove it from the folder"),
        ("gone/a.png", b"\x89PNG\r\n\x1a\n\0\0\0\1IHDR\0\0\0\0\0", "a.png is not a readable picture"),
    ],
)
@pytest.mark.parametrize("read", [read_pictures, lambda folder: read_stored_pictures(folder, SPEC)])
def test_what_cannot_be_read_is_named(read, name: str, content: bytes, complaint: str, tmp_path: Path) -> None:
    if name:
        (tmp_path / "gone").mkdir()
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=complaint):
        read(tmp_path / "gone")


def test_a_strip_that_would_be_scaled_to_gigabytes_is_named(tmp_path: Path) -> None:
    write(tmp_path, a_png=solid_picture((9, 9, 9), width=4000, height=1))
    with pytest.raises(UsageError, match=r"a\.png: .* its sides may differ 32 times"):
        read_stored_pictures(tmp_path, SPEC)


def test_a_picture_may_have_more_pixels_than_a_frame_of_a_video(tmp_path: Path) -> None:
    write(tmp_path, a_jpg=solid_picture((90, 90, 90), width=4352, height=2432))
    [stored] = read_stored_pictures(tmp_path, SPEC).frames
    assert (stored == 90).all()
