"""MLflow, where it is installed: `pip install mlflow-skinny` into the environment of the tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from clips.errors import CommandError
from tests.unit.training.test_run_folder import epoch
from training.presets import resolve_config
from training.run_folder import RunFolder
from training.tracking import tracked

mlflow = pytest.importorskip("mlflow")
SETTINGS = resolve_config("finetune", {"name": "m", "dataset": "clips", "mlflow": True})
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in place of a server."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    yield tmp_path
    mlflow.set_tracking_uri(None)


def history(run: RunFolder, metric: str) -> list[tuple[int, float]]:
    found = mlflow.MlflowClient().get_metric_history(run.mlflow_run_id.read_text().strip(), metric)
    return [(each.step, each.value) for each in found]


def stopped_after_two_epochs(run: RunFolder) -> None:
    with tracked(SETTINGS, run, 0) as (log,):
        log.epoch(epoch(1, 0.1))
        log.epoch(epoch(2, 0.2))
        raise KeyboardInterrupt


def test_a_run_that_was_stopped_is_one_run_with_each_epoch_once(store: Path) -> None:
    run = RunFolder.create(store, SETTINGS)
    with pytest.raises(KeyboardInterrupt):
        stopped_after_two_epochs(run)
    client, run_id = mlflow.MlflowClient(), run.mlflow_run_id.read_text().strip()
    assert client.get_run(run_id).info.status == "KILLED"
    with tracked(SETTINGS, run, 1) as (log,):
        log.epoch(epoch(2, 0.2))
        log.epoch(epoch(3, 0.3))
    assert run.mlflow_run_id.read_text().strip() == run_id
    assert history(run, "val_macro_f1") == [(1, 0.1), (2, 0.2), (3, 0.3)]
    told = client.get_run(run_id)
    assert (told.info.status, told.info.run_name) == ("FINISHED", "m 1")
    assert told.data.params["learning_rate"] == "0.005"
    assert len(client.search_runs(["0"])) == 1


def test_epochs_wait_while_the_server_is_away(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    run = RunFolder.create(store, SETTINGS)
    with tracked(SETTINGS, run, 0) as (log,):
        log.epoch(epoch(1, 0.1))
        mlflow.set_tracking_uri(NOBODY)
        log.epoch(epoch(2, 0.2))
        assert "mlflow: 1 epochs wait for the server" in capsys.readouterr().out
        mlflow.set_tracking_uri((store / "mlruns").as_uri())
        log.epoch(epoch(3, 0.3))
    assert history(run, "val_macro_f1") == [(1, 0.1), (2, 0.2), (3, 0.3)]


def test_a_server_that_is_not_there_stops_the_run_before_it_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", NOBODY)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    run = RunFolder.create(tmp_path, SETTINGS)
    refused = pytest.raises(CommandError, match=r"--mlflow: .*; set MLFLOW_TRACKING_URI, or leave the flag out")
    with refused, tracked(SETTINGS, run, 0):
        pass
