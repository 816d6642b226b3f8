"""The odd and broken files of other projects' test suites: an answer that fits, in time, whatever they are."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.live_server import LiveServer
from tests.robustness.fuzzing import MAX_WORKER_BYTES, STOPPED
from tests.robustness.workers import PeakMemory

LONGEST_SECONDS = 10.0
AT_ONCE = 2
WITH_A_VIDEO = 100
"""At least so many of them are sound; the others hold sound alone, are encrypted or broken."""

MUST_WORK = (
    "exoplayer/mp4/portrait_4k60.mp4",
    "torchcodec/nasa_13013_rotated.mp4",
    "mp4parse-rust/mp4parse_capi/tests/no_timescale.mp4",
    "mmaction2-tests/tests/data/test.avi",
)


@pytest.fixture(scope="module")
def containers(shared_data: Path) -> Path:
    return shared_data / "containers"


def found(folder: Path, name: str) -> Path:
    """The list gives some paths in short."""
    return next(path for path in folder.rglob(Path(name).name) if path.is_file())


def test_every_file_is_answered_with_200_or_a_fitting_4xx_in_time(server: LiveServer, containers: Path) -> None:
    files = sorted(path for path in containers.rglob("*") if path.is_file() and path.name != "LICENSE")
    assert len(files) > 200
    with ThreadPoolExecutor(AT_ONCE) as pool, PeakMemory(server.process.pid) as peak:
        answers = list(pool.map(lambda path: server.classify(path.read_bytes()), files))
    wrong = [
        (path.relative_to(containers).as_posix(), answer.status_code, answer.text)
        for path, answer in zip(files, answers, strict=True)
        if answer.status_code not in {200, 400, 413, 415, 422}
        or answer.elapsed.total_seconds() > LONGEST_SECONDS
        or STOPPED in answer.text  # a crash, answered as 422
    ]
    assert wrong == []
    assert 0 < peak.bytes < MAX_WORKER_BYTES
    assert sum(answer.status_code == 200 for answer in answers) >= WITH_A_VIDEO


@pytest.mark.parametrize("name", MUST_WORK)
def test_an_odd_but_sound_video_is_classified(server: LiveServer, containers: Path, name: str) -> None:
    answer = server.classify(found(containers, name).read_bytes())
    assert answer.status_code == 200, answer.text
