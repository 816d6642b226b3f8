"""One model in the protocol's words: metadata, readiness, configuration. Also finds the model that a path names."""

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Path

from app.api.auth import require_api_key
from app.api.dependencies import ServiceDependency
from app.api.documented import answer
from app.api.v2.contract import BACKEND, INPUT, INPUT_TYPE, OUTPUT, OUTPUT_TYPE, PLATFORM, TensorContract
from app.api.v2.examples import CONFIG, METADATA, MODEL_READY
from app.api.v2.protocol import PREFIX
from app.api.v2.reference import failures
from app.api.v2.schemas import (
    ConfigTensorBody,
    ModelConfigBody,
    ModelMetadataBody,
    ModelReadyBody,
    TensorBody,
)
from app.errors import Draining, NotFound, NotReady, Unauthorized, UnknownModel
from app.inference.served import ServedModel

router = APIRouter(
    prefix=PREFIX,
    dependencies=[Depends(require_api_key)],
    responses=failures(Unauthorized, NotFound, UnknownModel, NotReady, Draining),
)

Name = Annotated[str, Path(description="Name of the model")]
Version = Annotated[str, Path(description="Version of the model, such as `1`")]

_VERSION = re.compile(r"[1-9][0-9]{0,17}")


async def newest_model(service: ServiceDependency, name: Name) -> ServedModel:
    """Raises: UnknownModel: it is not served. NotReady: models are still loading."""
    return _find(service, name, None)


async def exact_model(service: ServiceDependency, name: Name, version: Version) -> ServedModel:
    """Raises: UnknownModel: it is not served in this version. NotReady: models are still loading."""
    if not _VERSION.fullmatch(version):
        raise UnknownModel("Versions are whole numbers from 1; the metadata of a model lists those that are served.")
    return _find(service, name, int(version))


def _find(service: ServiceDependency, name: str, version: int | None) -> ServedModel:
    classifier = service.classifier
    if not list(classifier.models):
        classifier.readiness.check()
    return classifier.models.find(name, version)


NewestModel = Annotated[ServedModel, Depends(newest_model)]
ExactModel = Annotated[ServedModel, Depends(exact_model)]


@router.get("/models/{name}", summary="Describe a model", responses=answer(METADATA))
async def model_metadata(service: ServiceDependency, model: NewestModel) -> ModelMetadataBody:
    """Name and shape of its input and output, and its versions."""
    return _metadata(service, model)


@router.get("/models/{name}/versions/{version}", summary="Describe a version of a model", responses=answer(METADATA))
async def model_version_metadata(service: ServiceDependency, model: ExactModel) -> ModelMetadataBody:
    """Name and shape of its input and output, and the model's versions."""
    return _metadata(service, model)


@router.get("/models/{name}/ready", summary="Does a model take requests?", responses=answer(MODEL_READY))
async def model_ready(service: ServiceDependency, model: NewestModel) -> ModelReadyBody:
    """200 if it does, else 503 with the reason."""
    return _ready(service, model)


@router.get(
    "/models/{name}/versions/{version}/ready", summary="Does a version of a model take requests?", responses=answer(MODEL_READY)
)
async def model_version_ready(service: ServiceDependency, model: ExactModel) -> ModelReadyBody:
    """200 if it does, else 503 with the reason."""
    return _ready(service, model)


@router.get("/models/{name}/config", summary="Configuration of a model", responses=answer(CONFIG))
async def model_config(service: ServiceDependency, model: NewestModel) -> ModelConfigBody:
    """What clients of Triton ask for; `max_batch_size` is the most clips in one request."""
    return _config(service, model)


@router.get(
    "/models/{name}/versions/{version}/config", summary="Configuration of a version of a model", responses=answer(CONFIG)
)
async def model_version_config(service: ServiceDependency, model: ExactModel) -> ModelConfigBody:
    """What clients of Triton ask for; `max_batch_size` is the most clips in one request."""
    return _config(service, model)


def _metadata(service: ServiceDependency, model: ServedModel) -> ModelMetadataBody:
    manifest = model.manifest
    return ModelMetadataBody(
        name=manifest.name,
        versions=[str(version) for version in sorted(service.classifier.models.versions(manifest.name))],
        platform=PLATFORM,
        inputs=[TensorBody(name=INPUT, datatype=INPUT_TYPE, shape=[-1, *manifest.clip_spec.shape])],
        outputs=[TensorBody(name=OUTPUT, datatype=OUTPUT_TYPE, shape=[-1, len(manifest.labels)])],
    )


def _ready(service: ServiceDependency, model: ServedModel) -> ModelReadyBody:
    service.classifier.readiness.check()
    return ModelReadyBody(name=model.manifest.name, ready=True)


def _config(service: ServiceDependency, model: ServedModel) -> ModelConfigBody:
    contract = TensorContract.of(model, service)
    return ModelConfigBody(
        name=model.manifest.name,
        platform=PLATFORM,
        backend=BACKEND,
        max_batch_size=contract.max_clips,
        input=[ConfigTensorBody(name=INPUT, data_type=f"TYPE_{INPUT_TYPE}", dims=list(contract.clip_shape))],
        output=[ConfigTensorBody(name=OUTPUT, data_type=f"TYPE_{OUTPUT_TYPE}", dims=[len(contract.labels)])],
    )
