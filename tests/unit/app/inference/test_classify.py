"""What a request is told where the server itself lacks something."""

import asyncio
import errno
from contextlib import nullcontext
from typing import Any, cast

import pytest

from app.errors import StorageFull
from app.inference.admission import Admission, AdmissionPolicy
from app.inference.classify import Classifier
from app.inference.readiness import Readiness
from app.inference.served import ServedModel, ServedModels
from tests.colour_model import SPEC


class WithoutDescriptors:
    """A decoder whose process has no file descriptor left."""

    async def decode(self, *_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")


class Manifest:
    clip_spec = SPEC


class Queue:
    expected = nullcontext


class Model:
    manifest = Manifest
    batcher = Queue


def test_a_server_without_descriptors_asks_for_patience() -> None:
    decoder = cast(Any, WithoutDescriptors())
    classifier = Classifier(ServedModels(None), decoder, Admission(AdmissionPolicy(1, 1)), cast(Readiness, None))
    with pytest.raises(StorageFull) as refusal:
        asyncio.run(classifier.classify(cast(Any, None), cast(ServedModel, Model), timeout_seconds=5.0))
    assert refusal.value.status == 503
    assert refusal.value.retry_after_seconds
