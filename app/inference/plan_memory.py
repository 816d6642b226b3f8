"""Plans of earlier starts, so that a server is ready sooner where it has measured before.

    <cache folder>/plans/<hash of what a plan depends on>.json

Only plans for processors: a GPU is measured in less time than it takes to warm it up.
"""

import json
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile

from pydantic import TypeAdapter, ValidationError

from app.inference.execution_plan import ExecutionPlan, PlanRequest
from app.inference.session import ORT_VERSION
from app.observability import logs

_PLAN = TypeAdapter(ExecutionPlan)


class PlanMemory:
    """What was measured for each model, processor and request."""

    def __init__(self, folder: Path | None) -> None:
        """``folder`` need not exist; None remembers nothing."""
        self._folder = folder / "plans" if folder else None

    def find(self, model_sha256: str, asked: PlanRequest) -> ExecutionPlan | None:
        """The plan of an earlier start, where there is one that can be read."""
        if not self._folder:
            return None
        try:
            plan = _PLAN.validate_json(self._file(model_sha256, asked).read_bytes(), strict=True)
        except (OSError, ValidationError):
            return None
        return plan if _is_sound(plan) else None

    def keep(self, model_sha256: str, asked: PlanRequest, plan: ExecutionPlan) -> None:
        """Remember ``plan``. Where that cannot be done the next start measures again."""
        if not self._folder:
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with NamedTemporaryFile("w", dir=self._folder, delete=False) as file:
                json.dump(asdict(plan), file)
            Path(file.name).replace(self._file(model_sha256, asked))
        except OSError as problem:
            logs.info("plan_not_kept", reason=problem.strerror)

    def _file(self, model_sha256: str, asked: PlanRequest) -> Path:
        assert self._folder
        what = [
            model_sha256,
            ORT_VERSION,
            _processor(),
            asked.processors,
            asked.lanes,
            asked.intra_op_threads,
            asked.max_batch_size,
        ]
        return self._folder / f"{sha256(json.dumps(what).encode()).hexdigest()}.json"


def _is_sound(plan: ExecutionPlan) -> bool:
    counts = (plan.lanes, plan.intra_op_threads, plan.max_batch_size, plan.lone_threads)
    return all(1 <= count <= 1024 for count in counts) and plan.clips_per_second > 0


def _processor() -> str:
    """Name of the processor's model, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith("model name")), "")
