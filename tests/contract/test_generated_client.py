"""A client that a generator makes of the document compiles, is typed, and classifies a video."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.conftest import API_KEY
from tests.live_server import LiveServer
from tests.videos import RED, solid_video

# the generator knows no media range: a raw video goes as application/octet-stream, which is as good
_CONFIGURATION = {
    "package_name_override": "clips_client",
    "post_hooks": [],
    "content_type_overrides": {"video/*": "application/octet-stream"},
}

_PROGRAM = """
import sys
from io import BytesIO
from pathlib import Path

from clips_client import AuthenticatedClient
from clips_client.api.classify import classify
from clips_client.models import ClassificationBody, ClassifyFilesBody, ProblemBody
from clips_client.types import File

url, key, video = sys.argv[1], sys.argv[2], Path(sys.argv[3]).read_bytes()
with AuthenticatedClient(url, key, raise_on_unexpected_status=True) as client:
    raw = classify.sync(client=client, body=File(BytesIO(video)), top_k=1)
    form = classify.sync(client=client, body=ClassifyFilesBody(File(BytesIO(video), "a.mp4")), top_k=1)
    problem = classify.sync(client=client, body=File(BytesIO(video)), model="nobody")
assert isinstance(raw, ClassificationBody) and isinstance(form, ClassificationBody) and isinstance(problem, ProblemBody)
print(raw.predictions[0].label, form.predictions[0].label, problem.code)
"""


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run([sys.executable, *command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def program(keyed_server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program in a folder that also holds the generated package."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "openapi.json").write_bytes(keyed_server.client.get("/openapi.json").content)
    (folder / "configuration.json").write_text(json.dumps(_CONFIGURATION))
    generate = ("generate", "--path", "openapi.json", "--config", "configuration.json", "--meta", "none", "--fail-on-warning")
    run("-m", "openapi_python_client", *generate, "--output-path", "clips_client", cwd=folder)
    (folder / "program.py").write_text(_PROGRAM)
    return folder / "program.py"


def test_the_client_and_a_program_that_uses_it_pass_the_type_checker(program: Path) -> None:
    run(
        "-m",
        "mypy",
        "--cache-dir",
        ".mypy",
        "--python-executable",
        sys.executable,
        "program.py",
        "clips_client",
        cwd=program.parent,
    )


def test_the_client_classifies_a_video_and_reads_a_problem(program: Path, keyed_server: LiveServer) -> None:
    (program.parent / "red.mp4").write_bytes(solid_video(RED))
    assert run("program.py", keyed_server.url, API_KEY, "red.mp4", cwd=program.parent).split() == [
        "red",
        "red",
        "unknown_model",
    ]
