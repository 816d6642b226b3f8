"""Videos of 1080p in four codecs, 60 s and 10 s, long and short groups of pictures: made once by the ``ffmpeg`` command.

python -m benchmarks.decoding.generated [FOLDER]

A picture full of detail sways and turns below a small one that wanders, both under light noise: motion between pixels,
areas that are easy and areas that are hard to code. The 60 s files are encoded; the 10 s files are their beginnings.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

CACHE = Path("~/.cache/clipserve-benchmark").expanduser()
SECONDS = (10, 60)

_STILL = "mandelbrot=size=2560x1440:start_scale=0.02:start_x=-0.743643887037151:start_y=0.13182590420533:rate=1:maxiter=1500"
_SCENE = (
    "[0]format=yuv420p,rotate=a='0.05*sin(0.5*t)',crop=1920:1080:x='320+280*sin(0.31*t)':y='180+150*sin(0.43*t)'[back];"
    "[1]format=yuv420p[front];"
    "[back][front]overlay=x='760+700*sin(0.7*t)':y='430+380*cos(0.9*t)',noise=alls=5:allf=t"
)
_ENCODERS = {
    "h264": ("mp4", "-c:v libx264 -preset medium -threads 2 -movflags +faststart"),
    "hevc": ("mp4", "-c:v libx265 -preset fast -x265-params pools=2:log-level=none -tag:v hvc1 -movflags +faststart"),
    "av1": ("webm", "-c:v libsvtav1 -preset 9 -svtav1-params lp=2"),
    "vp9": ("webm", "-c:v libvpx-vp9 -deadline good -cpu-used 5 -row-mt 1 -tile-columns 2 -threads 2"),
}
_GROUPS = {"long": 250, "short": 30}  # frames from one keyframe to the next, at most; 250 is the default of x264 and x265


@dataclass(frozen=True)
class Recipe:
    """One file of 60 s, and its beginning."""

    codec: str
    group: str

    def file(self, folder: Path, seconds: int) -> Path:
        """Where the file of this length lies."""
        return folder / f"{self.codec}_{self.group}_{seconds}s.{_ENCODERS[self.codec][0]}"

    @property
    def flags(self) -> list[str]:
        """Flags of the encoder: 5 Mbit/s, 30 frames a second."""
        return [*_ENCODERS[self.codec][1].split(), "-b:v", "5M", "-g", str(_GROUPS[self.group])]


RECIPES = [Recipe(codec, group) for codec in _ENCODERS for group in _GROUPS]


def generated_files(folder: Path, seconds: int) -> list[Path]:
    """The eight files of this length; those that ``folder`` lacks are made first (up to half an hour on two cores).

    Raises: SystemExit: files are missing and there is no ``ffmpeg`` to make them.
    """
    missing = [recipe for recipe in RECIPES if not all(recipe.file(folder, s).exists() for s in SECONDS)]
    if missing and shutil.which("ffmpeg") is None:
        raise SystemExit(f"{folder} lacks videos; install ffmpeg (Debian: apt install ffmpeg) so that they can be made.")
    if missing:
        _make(missing, folder)
    return [recipe.file(folder, seconds) for recipe in RECIPES]


def _make(recipes: list[Recipe], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    scene = draw_scene(folder, max(SECONDS))
    for number, recipe in enumerate(recipes, 1):
        print(f"encoding {number} of {len(recipes)}: {recipe.file(folder, 60).name}", file=sys.stderr, flush=True)
        ffmpeg(["-i", str(scene), *recipe.flags], recipe.file(folder, 60))
        ffmpeg(["-i", str(recipe.file(folder, 60)), "-c", "copy", "-t", "10"], recipe.file(folder, 10))
    scene.unlink()


def draw_scene(folder: Path, seconds: float) -> Path:
    """What all encoders get: nearly lossless (60 s: 1 GB), for the caller to delete once everything is encoded."""
    still, scene = folder / "still.png", folder / f"scene_{seconds}s.mkv"
    if not scene.exists():
        print(f"drawing the scene: {scene}", file=sys.stderr, flush=True)
        ffmpeg(["-f", "lavfi", "-i", _STILL, "-frames:v", "1"], still)
        moving = ["-loop", "1", "-framerate", "30", "-i", str(still), "-f", "lavfi", "-i", "testsrc2=size=384x216:rate=30"]
        coding = ["-t", str(seconds), "-c:v", "libx264", "-preset", "ultrafast", "-crf", "16", "-threads", "2"]
        ffmpeg(["-filter_threads", "2", *moving, "-filter_complex", _SCENE, *coding], scene)
        still.unlink()
    return scene


def ffmpeg(flags: list[str], output: Path) -> None:
    """Write ``output`` whole or not at all. Raises: subprocess.CalledProcessError."""
    partial = output.with_name(f"partial-{output.name}")
    quiet = ["-hide_banner", "-loglevel", "error", "-nostdin", "-y"]
    subprocess.run(["ffmpeg", *quiet, *flags, str(partial)], check=True, stderr=None)
    partial.rename(output)


if __name__ == "__main__":
    generated_files(Path(sys.argv[1]) if len(sys.argv) > 1 else CACHE, 60)
