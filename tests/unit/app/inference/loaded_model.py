"""A model that is really loaded, for tests of what happens around one."""

from pathlib import Path

from app.inference.batcher import BatchPolicy
from app.inference.engine import load_engine
from app.inference.execution_plan import PlanRequest
from app.inference.repository import published_model
from app.inference.response_cache import ResponseCache
from app.inference.served import ServedModel
from tests.colour_model import publish

PROCESSORS = 1


def load(
    repository: Path, name: str = "colours", version: int = 1, cache_entries: int = 0, max_batch_size: int = 2
) -> ServedModel:
    """Publish a version in ``repository`` and load it. Needs a running event loop."""
    publish(repository, name, version)
    published = published_model(repository, name, version)
    engine = load_engine(published, "cpu", PlanRequest(PROCESSORS, max_batch_size=max_batch_size))
    return ServedModel.start(published, engine, BatchPolicy(), ResponseCache(cache_entries), PROCESSORS)
