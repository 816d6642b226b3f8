"""``GET /models``: what is served, and how."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Path

from app.api.auth import require_api_key
from app.api.dependencies import ServiceDependency
from app.api.documented import ASKED, answer, problems
from app.api.examples import MODEL_LIST, MODEL_VERSIONS
from app.api.schemas import ExecutionPlanBody, ModelBody, ModelListBody, ModelVersionsBody
from app.errors import NotFound, Unauthorized, UnknownModel
from app.inference.served import ServedModel, ServedModels

ModelName = Annotated[str, Path(max_length=64, description="Name of the model", examples=["exercise10"])]

router = APIRouter(tags=["models"], dependencies=[Depends(require_api_key)])


@router.get("/models", summary="List the served models", responses=answer(MODEL_LIST) | problems(Unauthorized))
async def list_models(service: ServiceDependency) -> ModelListBody:
    """Every served version of every model; empty while they load."""
    models = service.classifier.models
    return ModelListBody(default=models.default_name, models=[_body(models, model) for model in models])


@router.get(
    "/models/{name}",
    summary="Describe one model",
    responses=answer(MODEL_VERSIONS) | problems(*ASKED, NotFound, UnknownModel),
)
async def describe_model(service: ServiceDependency, name: ModelName) -> ModelVersionsBody:
    """The served versions of one model, the newest first."""
    return versions_body(service.classifier.models, name)


def versions_body(models: ServedModels, name: str) -> ModelVersionsBody:
    """The served versions of a model. Raises: UnknownModel: there is none."""
    versions = models.versions(name)
    return ModelVersionsBody(
        name=name,
        default_version=models.default_version(name),
        default_is_chosen=models.chosen_version(name) is not None,
        versions=[_body(models, versions[version]) for version in sorted(versions, reverse=True)],
    )


def _body(models: ServedModels, model: ServedModel) -> ModelBody:
    manifest, engine = model.manifest, model.engine
    return ModelBody(
        name=manifest.name,
        version=manifest.version,
        is_default=manifest.version == models.default_version(manifest.name),
        task=manifest.task,
        labels=manifest.labels,
        precision=engine.variant.precision,
        execution_provider=engine.provider,
        fallback_reason=engine.fallback_reason,
        execution_plan=ExecutionPlanBody(**asdict(engine.plan)),
        clip_spec=manifest.clip_spec,
        thresholds=manifest.thresholds,
        metrics=manifest.metrics,
        licence=manifest.licence,
    )
