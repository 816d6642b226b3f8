"""``clipserve probe``: what the decoder sees of a file, its plan and its cost; why it is refused or slow."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.inference.sandbox.kernel import machine
from tests.encodings import grainy
from tests.live_server import ROOT, command, environment
from tests.robustness.bombs import still_video
from tests.videos import one_frame_video

Ended = subprocess.CompletedProcess[str]


def probe(video: bytes, folder: Path, *flags: str, program: list[str] | None = None, **settings: object) -> Ended:
    file = folder / "video"
    file.write_bytes(video)
    arguments = [*(program or command()), "probe", str(file), *flags]
    return subprocess.run(
        arguments, cwd=ROOT, env=environment(**settings), capture_output=True, text=True, check=False, timeout=120
    )


def values(ended: Ended) -> dict[str, str]:
    """First word of a line -> the rest of it."""
    return {line.split()[0]: line.split(maxsplit=1)[1] for line in ended.stdout.splitlines() if len(line.split()) > 1}


def test_a_sound_video_is_described_with_its_plan_and_its_cost(tmp_path: Path) -> None:
    ended = probe(grainy("h264-pyramid"), tmp_path, "--frames", "2")
    assert (ended.returncode, ended.stderr) == (0, "")
    said = values(ended)
    assert said["codec"] == "h264"
    assert said["frames"].startswith("40; decoding can start at 4,")
    assert said["clip"] == "2 frames of 224 x 224 px, exact"
    cost = int(said["plan"].split()[0])
    drawing = next(line.strip() for line in ended.stdout.splitlines() if set(line.strip()) <= set("*+.") and line.strip())
    assert (len(drawing), drawing.count("*"), len(drawing) - drawing.count(".")) == (40, 2, cost)
    assert "ms to decode" in said["cost"]
    assert said["result"] == "a clip"


def test_a_container_that_stores_no_order_is_named_as_the_reason_for_its_cost(tmp_path: Path) -> None:
    assert "not stored in this container" in values(probe(grainy("h264-avi"), tmp_path))["order"]


@pytest.mark.parametrize(
    ("video", "settings", "why"),
    [
        (one_frame_video, {}, "too_few_frames: The video has 1 frame(s)"),
        (lambda: b"not a video" * 100, {}, "not_a_video: "),
        (
            lambda: grainy("vp9"),
            {"decode_codecs": "h264"},
            "decode_failed: The video's codec is not accepted; send one of H.264.",
        ),
        (lambda: grainy("vp9"), {"decode_containers": "mov,avi"}, "unsupported_container: "),
        (lambda: grainy("vp9"), {"decode_max_pixels": 64}, "dimensions_out_of_range: "),
        (lambda: grainy("vp9"), {"decode_max_duration_seconds": 1}, "duration_out_of_range: "),
        (lambda: grainy("vp9"), {"decode_max_frames": 10}, "duration_out_of_range: "),
    ],
    ids=["one frame", "text", "codec", "container", "pixels", "duration", "frames"],
)
def test_a_refusal_gives_the_reason_that_the_server_would_give(
    tmp_path: Path, video: object, settings: dict[str, object], why: str
) -> None:
    assert callable(video)
    ended = probe(video(), tmp_path, **settings)
    assert ended.returncode == 0
    assert values(ended)["refused"].startswith(why)


@pytest.mark.skipif(machine() is None, reason="bounds on processor time are set on Linux")
def test_a_video_that_takes_too_long_ends_with_the_setting_to_raise(tmp_path: Path) -> None:
    ended = probe(still_video(6000), tmp_path, decode_cpu_seconds=1, decode_timeout_seconds=100)
    assert ended.returncode == 1
    assert "CLIPSERVE_DECODE_CPU_SECONDS" in ended.stderr
    assert int(values(ended)["frames"].split(";")[0]) == 6000, "what was seen until then is shown"


WITHOUT_LANDLOCK = """
import clipserve, sys
from app.inference.sandbox import landlock
landlock.available_abi = lambda: 0
sys.exit(clipserve.main())
"""


@pytest.mark.parametrize(("mode", "code"), [("required", 1), ("auto", 0)])
def test_a_file_is_not_touched_where_required_protections_are_missing(tmp_path: Path, mode: str, code: int) -> None:
    ended = probe(grainy("vp9"), tmp_path, program=[sys.executable, "-c", WITHOUT_LANDLOCK], decode_sandbox=mode)
    assert ended.returncode == code
    assert ("CLIPSERVE_DECODE_SANDBOX=required" in ended.stderr) is (mode == "required")
    assert ("codec" in ended.stdout) is (mode == "auto")


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    ended = subprocess.run(
        command("probe", str(tmp_path / "nowhere.mp4")),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "cannot read" in ended.stderr
