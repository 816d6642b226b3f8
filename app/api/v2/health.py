"""Liveness and readiness for the probes of KServe and Kubernetes: the status decides, no key is asked for."""

from fastapi import APIRouter

from app.api.dependencies import ServiceDependency
from app.api.documented import answer
from app.api.v2.examples import LIVE, READY
from app.api.v2.protocol import PREFIX
from app.api.v2.reference import failures
from app.api.v2.schemas import LiveBody, ReadyBody
from app.errors import Draining, NotReady

router = APIRouter(prefix=PREFIX)


@router.get("/health/live", summary="Is the process alive?", responses=answer(LIVE) | failures())
async def server_live() -> LiveBody:
    """200 for as long as the event loop turns."""
    return LiveBody(live=True)


@router.get("/health/ready", summary="Do all models take requests?", responses=answer(READY) | failures(NotReady, Draining))
async def server_ready(service: ServiceDependency) -> ReadyBody:
    """200 once every model is loaded, warm and has passed its golden clip; else, and while draining, 503 with the reason."""
    service.classifier.readiness.check()
    return ReadyBody(ready=True)
