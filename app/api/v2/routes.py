"""All addresses under ``/v2``."""

from fastapi import APIRouter

from app.api.v2 import health, infer, models, repository, server

router = APIRouter(tags=["open inference protocol"])
for module in (server, health, models, infer, repository):
    router.include_router(module.router)
