"""``POST /models/{name}/load``, ``/unload`` and ``/default``: change what is served, while it is served.

Switched off unless the operator wants it, and never without API keys: a page that somebody visits can make a browser POST to
a server on the same machine.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from app.api.auth import require_api_key
from app.api.dependencies import ServiceDependency
from app.api.documented import ASKED, answer, problems
from app.api.examples import MODEL_VERSIONS, UNLOADED
from app.api.models import versions_body
from app.api.queries import VersionQuery
from app.api.schemas import ModelVersionsBody, UnloadedBody
from app.errors import Draining, ModelManagementOff, ModelRejected, NotFound, NotReady, UnknownModel
from clips.manifest import ModelName


async def require_management(service: ServiceDependency) -> None:
    """Raises: ModelManagementOff: the operator did not allow it."""
    if not service.model_management:
        raise ModelManagementOff


router = APIRouter(
    prefix="/models/{name}",
    tags=["models"],
    dependencies=[Depends(require_api_key), Depends(require_management)],
    responses=problems(*ASKED, ModelManagementOff, ModelRejected, NotFound, UnknownModel, NotReady, Draining),
)

Name = Annotated[ModelName, Path(description="Name of the model")]
Version = Annotated[VersionQuery, Query()]


@router.post("/load", summary="Load a version", responses=answer(MODEL_VERSIONS))
async def load_model(service: ServiceDependency, name: Name, query: Version) -> ModelVersionsBody:
    """Serve `version`, or without it the newest in the repository. Answers once it is served, at once where it already is.

    The version is checked, warmed and must pass its golden clip before a request can reach it. Where it does not, the answer is
    422 `model_rejected`, and what was served goes on. The newest served version is the default one, unless another was chosen.
    """
    await service.loader.load(name, query.version)
    return versions_body(service.classifier.models, name)


@router.post("/unload", summary="Unload a version", responses=answer(UNLOADED))
async def unload_model(service: ServiceDependency, name: Name, query: Version) -> UnloadedBody:
    """Serve `version`, or without it every version of the model, no longer. Answers once the requests inside are answered.

    A server without any model is not ready, and says so, until one is loaded.
    """
    unloaded = await service.loader.unload(name, query.version)
    return UnloadedBody(name=name, unloaded=unloaded, served=sorted(service.classifier.models.version_numbers(name)))


@router.post("/default", summary="Choose the default version", responses=answer(MODEL_VERSIONS))
async def choose_default(service: ServiceDependency, name: Name, query: Version) -> ModelVersionsBody:
    """Let `version` answer the requests that name the model and no version, whatever is loaded later; without it, the newest.

    It holds from the next request on, until the version is unloaded or the server ends.
    """
    service.classifier.readiness.check()
    service.classifier.models.choose(name, query.version)
    return versions_body(service.classifier.models, name)
