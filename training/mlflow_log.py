"""The one module that knows MLflow: settings as parameters, epochs as metrics, where ``MLFLOW_TRACKING_URI`` says.

The library reads that and its other variables (``MLFLOW_EXPERIMENT_NAME``, ``MLFLOW_TRACKING_USERNAME``) by itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from clips.errors import CommandError
from training.config import TrainingConfig
from training.history import AnyEpochResult
from training.run_folder import RunFolder

_NOT_METRICS = ("epoch", "stage")
_ANY_METRIC = "val_loss"


class MLflowLog:
    """One run of MLflow. An epoch that its server does not take is told, and sent again with the next one."""

    def __init__(self, mlflow: Any, run_id: str) -> None:
        self._mlflow = mlflow
        # MLflow would keep a step twice; a run that went on repeats the same figures
        history = mlflow.MlflowClient().get_metric_history(run_id, _ANY_METRIC)
        self._sent = {metric.step for metric in history}
        self._waiting: list[AnyEpochResult] = []

    def epoch(self, result: AnyEpochResult) -> None:
        """Send it, and those that are waiting."""
        if result.epoch not in self._sent:
            self._waiting.append(result)
        try:
            self._send_waiting()
        except (self._mlflow.MlflowException, OSError) as problem:
            print(f"mlflow: {len(self._waiting)} epochs wait for the server ({_first_line(problem)})", flush=True)

    def _send_waiting(self) -> None:
        while self._waiting:
            row = asdict(self._waiting[0])
            self._mlflow.log_metrics({name: row[name] for name in row if name not in _NOT_METRICS}, step=row["epoch"])
            self._sent.add(row["epoch"])
            del self._waiting[0]


@contextmanager
def mlflow_log(config: TrainingConfig, run: RunFolder) -> Iterator[MLflowLog]:
    """Goes on with the run that the run folder names; without one, begins one and writes its name there.

    Raises: CommandError: the library cannot reach or use what it is to write to.
    """
    import mlflow  # noqa: PLC0415 only where it is asked for

    try:
        log = _begun(mlflow, config, run)
    except (mlflow.MlflowException, OSError) as problem:
        raise CommandError(f"--mlflow: {_first_line(problem)}; set MLFLOW_TRACKING_URI, or leave the flag out") from problem
    status = "KILLED"
    try:
        yield log
        status = "FINISHED"
    finally:
        _end(mlflow, status)


def _begun(mlflow: Any, config: TrainingConfig, run: RunFolder) -> MLflowLog:
    run_id = run.mlflow_run_id.read_text(encoding="utf-8").strip() if run.mlflow_run_id.exists() else None
    begun = mlflow.start_run(run_id=run_id, run_name=None if run_id else f"{config.name} {run.path.name}")
    if run_id is None:
        mlflow.log_params(config.model_dump(mode="json"))
        run.mlflow_run_id.write_text(begun.info.run_id + "\n", encoding="utf-8")
    return MLflowLog(mlflow, begun.info.run_id)


def _end(mlflow: Any, status: str) -> None:
    try:
        mlflow.end_run(status)
    except (mlflow.MlflowException, OSError) as problem:
        print(f"mlflow: the end of the run could not be recorded ({_first_line(problem)})", flush=True)


def _first_line(problem: Exception) -> str:
    return str(problem).splitlines()[0]
