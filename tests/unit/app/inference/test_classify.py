"""What a request is told where the server itself lacks something."""

import asyncio
import errno
from pathlib import Path
from typing import Any, cast

import pytest

from app.errors import StorageFull
from app.inference.admission import Admission, AdmissionPolicy
from app.inference.classify import Classifier
from app.inference.readiness import Readiness
from app.inference.served import ServedModels
from tests.unit.app.inference.loaded_model import load


class WithoutDescriptors:
    """A decoder whose process has no file descriptor left."""

    async def decode_windows(self, *_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")


def test_a_server_without_descriptors_asks_for_patience(tmp_path: Path) -> None:
    decoder = cast(Any, WithoutDescriptors())
    classifier = Classifier(ServedModels(None), decoder, Admission(AdmissionPolicy(1, 1)), cast(Readiness, None))

    async def classify() -> None:
        model = load(tmp_path)
        try:
            await classifier.classify(cast(Any, None), model, timeout_seconds=5.0)
        finally:
            await model.close()

    with pytest.raises(StorageFull) as refusal:
        asyncio.run(classify())
    assert refusal.value.status == 503
    assert refusal.value.retry_after_seconds
