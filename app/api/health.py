"""Liveness and readiness. Both run on the event loop and touch no model: they stay cheap under load."""

from dataclasses import asdict

from fastapi import APIRouter

from app.api.dependencies import ServiceDependency
from app.api.documented import SCRAPED, answer, problems
from app.api.examples import HEALTH, READINESS
from app.api.schemas import HealthBody, ProtectionsBody, ReadinessBody
from app.errors import Draining, NotReady
from app.inference.sandbox.policy import Protections

router = APIRouter(tags=["health"])

PROBES = ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready")
"""Asked again and again, and by the address of the machine."""


@router.get("/healthz", summary="Is the process alive?", responses=answer(HEALTH) | problems(anywhere=SCRAPED))
async def healthz() -> HealthBody:
    """200 for as long as the event loop turns. A failure means: restart me."""
    return HealthBody(status="alive")


@router.get(
    "/readyz",
    summary="Does the server take videos?",
    responses=answer(READINESS) | problems(NotReady, Draining, anywhere=SCRAPED),
)
async def readyz(service: ServiceDependency) -> ReadinessBody:
    """200 once every model is loaded, warm and has passed its golden clip; else, while draining, and while no decode process is
    alive, 503 with the reason."""
    service.classifier.readiness.check()
    decoder = service.classifier.decoder
    return ReadinessBody(
        status="ready",
        decode_protections=ProtectionsBody(**asdict(decoder.protections or Protections())),
        decode_accelerator=decoder.accelerator,
        decode_accelerator_problem=decoder.accelerator_problem,
    )
