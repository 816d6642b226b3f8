"""The Open Inference Protocol as an unmodified client of Triton speaks it."""

from collections.abc import Iterator

import numpy as np
import pytest
import tritonclient.http as triton
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from clips import load_clip
from tests.colour_model import LABELS, SPEC, publish
from tests.live_server import LiveServer, running_server
from tests.protocol_body import solid_clips
from tests.videos import BLUE, GREEN, RED, left_right_video, solid_video

VIDEOS = [solid_video(RED), solid_video(GREEN), solid_video(BLUE), left_right_video(RED, BLUE)]


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Serves two versions of one model, in batches, whatever pays on this machine."""
    folder = tmp_path_factory.mktemp("versions")
    for version in (1, 2):
        publish(folder / "models", version=version)
    with running_server(folder / "models", folder / "log", model_versions="all", max_batch_size=8) as live:
        yield live


def connected(server: LiveServer) -> triton.InferenceServerClient:
    return triton.InferenceServerClient(server.url.removeprefix("http://"))


@pytest.fixture
def client(server: LiveServer) -> Iterator[triton.InferenceServerClient]:
    with connected(server) as connection:
        yield connection


def tensor(clips: NDArray[np.uint8], binary: bool = True) -> triton.InferInput:
    wanted = triton.InferInput("clips", list(clips.shape), "UINT8")
    return wanted.set_data_from_numpy(clips, binary_data=binary)


def probabilities(client: triton.InferenceServerClient, clips: NDArray[np.uint8]) -> NDArray[np.float32]:
    answer: NDArray[np.float32] = client.infer("colours", [tensor(clips)]).as_numpy("probabilities")
    return answer


def test_health(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("colours")
    assert client.is_model_ready("colours", "1")
    assert not client.is_model_ready("colours", "2")
    assert not client.is_model_ready("nobody")


def test_server_metadata_names_what_is_understood(client: triton.InferenceServerClient) -> None:
    metadata = client.get_server_metadata()
    assert metadata["name"] == "clipserve"
    assert set(metadata["extensions"]) == {"binary_tensor_data", "classification", "model_configuration"}


@pytest.mark.parametrize("version", ["", "1"])
def test_model_metadata_is_enough_to_make_a_request(client: triton.InferenceServerClient, version: str) -> None:
    metadata = client.get_model_metadata("colours", version)
    assert (metadata["name"], metadata["versions"], metadata["platform"]) == ("colours", ["1"], "onnxruntime_onnx")
    (clips,), (output,) = metadata["inputs"], metadata["outputs"]
    assert clips == {"name": "clips", "datatype": "UINT8", "shape": [-1, *SPEC.shape]}
    assert output == {"name": "probabilities", "datatype": "FP32", "shape": [-1, len(LABELS)]}


@pytest.mark.parametrize("version", ["", "1"])
def test_model_config_says_how_many_clips_a_request_may_hold(client: triton.InferenceServerClient, version: str) -> None:
    config = client.get_model_config("colours", version)
    assert (config["name"], config["backend"], config["max_batch_size"]) == ("colours", "onnxruntime", 64)
    assert config["input"] == [{"name": "clips", "data_type": "TYPE_UINT8", "dims": list(SPEC.shape)}]
    assert config["output"] == [{"name": "probabilities", "data_type": "TYPE_FP32", "dims": [len(LABELS)]}]


def test_the_repository_index_lists_every_version(versions: LiveServer) -> None:
    with connected(versions) as client:
        index = client.get_model_repository_index()
    assert index == [{"name": "colours", "version": v, "state": "READY", "reason": ""} for v in ("1", "2")]


@pytest.mark.parametrize("binary_output", [True, False])
@pytest.mark.parametrize("binary_input", [True, False])
@pytest.mark.parametrize("video", VIDEOS, ids=["red", "green", "blue", "half"])
def test_a_decoded_clip_gets_the_answer_of_its_video(
    server: LiveServer, client: triton.InferenceServerClient, video: bytes, binary_input: bool, binary_output: bool
) -> None:
    clip = load_clip(video, SPEC).frames
    wanted = triton.InferRequestedOutput("probabilities", binary_data=binary_output)
    answer = client.infer("colours", [tensor(clip[np.newaxis], binary_input)], outputs=[wanted]).as_numpy("probabilities")
    assert (answer.dtype, answer.shape) == (np.float32, (1, len(LABELS)))
    classified = server.classify(video).json()["predictions"]
    assert dict(zip(LABELS, answer[0].tolist(), strict=True)) == {p["label"]: p["probability"] for p in classified}


def test_the_clips_of_a_request_share_runs_and_keep_their_order(versions: LiveServer) -> None:
    colours = [RED, GREEN, BLUE, BLUE, RED, GREEN, RED] * 9
    runs, clips = (versions.metric(f"clipserve_batch_size_{kind}") for kind in ("count", "sum"))
    with connected(versions) as client:
        answer = probabilities(client, solid_clips(*colours))
    assert answer.argmax(axis=1).tolist() == [colour.index(255) for colour in colours]
    assert versions.metric("clipserve_batch_size_sum") - clips == len(colours)
    assert versions.metric("clipserve_batch_size_count") - runs < len(colours)


@pytest.mark.parametrize("binary", [True, False])
def test_classification_gives_labels(client: triton.InferenceServerClient, binary: bool) -> None:
    wanted = triton.InferRequestedOutput("probabilities", binary_data=binary, class_count=2)
    answer = client.infer("colours", [tensor(solid_clips(RED, BLUE))], outputs=[wanted]).as_numpy("probabilities")
    texts = [[text.decode() if isinstance(text, bytes) else text for text in row] for row in answer]
    assert [[text.split(":")[1:] for text in row] for row in texts] == [
        [["0", "red"], ["1", "green"]],
        [["2", "blue"], ["0", "red"]],
    ]
    numbers = probabilities(client, solid_clips(RED, BLUE))
    assert texts[0][0] == f"{numbers[0, 0]:f}:0:red"


@pytest.mark.parametrize("binary", [True, False])
def test_an_id_comes_back(client: triton.InferenceServerClient, binary: bool) -> None:
    wanted = triton.InferRequestedOutput("probabilities", binary_data=binary)
    answer = client.infer("colours", [tensor(solid_clips(RED))], request_id="a «7»", outputs=[wanted]).get_response()
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("a «7»", "colours", "1")


@pytest.mark.parametrize(("asked", "given"), [("", "2"), ("1", "1"), ("2", "2")])
def test_the_newest_version_answers_where_none_is_named(versions: LiveServer, asked: str, given: str) -> None:
    with connected(versions) as client:
        assert client.infer("colours", [tensor(solid_clips(RED))], asked).get_response()["model_version"] == given
        assert client.get_model_metadata("colours", asked)["versions"] == ["1", "2"]


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_bodies_may_be_compressed(client: triton.InferenceServerClient, algorithm: str, binary: bool) -> None:
    answer = client.infer(
        "colours",
        [tensor(solid_clips(GREEN), binary)],
        request_compression_algorithm=algorithm,
        response_compression_algorithm=algorithm,
    )
    assert answer.as_numpy("probabilities").argmax() == 1


def test_many_requests_of_one_client_at_once(server: LiveServer) -> None:
    with triton.InferenceServerClient(server.url.removeprefix("http://"), concurrency=4) as client:
        asked = [client.async_infer("colours", [tensor(solid_clips(colour))]) for colour in (RED, GREEN, BLUE) * 5]
        answers = [request.get_result().as_numpy("probabilities") for request in asked]
    assert [int(answer.argmax()) for answer in answers] == [0, 1, 2] * 5


@pytest.mark.parametrize(
    ("model", "version", "status", "message"),
    [
        ("nobody", "", "404", "There is no model of that name"),
        ("colours", "3", "404", "This version of the model is not served"),
        ("colours", "latest", "404", "Versions are whole numbers"),
        ("colours", "9" * 5000, "404", "Versions are whole numbers"),
        ("colours/../colours", "", "404", "No route of the server"),
    ],
)
def test_an_unknown_model_is_told_as_an_exception(
    client: triton.InferenceServerClient, model: str, version: str, status: str, message: str
) -> None:
    with pytest.raises(InferenceServerException) as caught:
        client.infer(model, [tensor(solid_clips(RED))], version)
    assert caught.value.status() == status
    assert caught.value.message().startswith(message)


@pytest.mark.parametrize(
    ("name", "clips", "datatype", "message"),
    [
        ("pixels", solid_clips(RED), "UINT8", "inputs.0.name: Input should be 'clips'."),
        ("clips", solid_clips(RED).astype(np.float32), "FP32", "inputs.0.datatype: Input should be 'UINT8'."),
        ("clips", solid_clips(RED)[:, :2], "UINT8", "`clips` has the shape [clips, 4, 32, 32, 3]."),
        ("clips", solid_clips(*[RED] * 65), "UINT8", "A request to this model may hold 1 to 64 clips."),
    ],
)
def test_a_tensor_that_does_not_fit_is_told_as_an_exception(
    client: triton.InferenceServerClient, name: str, clips: NDArray[np.generic], datatype: str, message: str
) -> None:
    wanted = triton.InferInput(name, list(clips.shape), datatype).set_data_from_numpy(clips)
    with pytest.raises(InferenceServerException) as caught:
        client.infer("colours", [wanted])
    assert (caught.value.status(), caught.value.message()) == ("400", message)
