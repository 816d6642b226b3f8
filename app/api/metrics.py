"""``GET /metrics`` for Prometheus."""

import asyncio
from collections.abc import Sequence

from fastapi import APIRouter, Response
from fastapi.params import Depends
from fastapi.responses import PlainTextResponse

from app.api.documented import SCRAPED, answer, problems
from app.api.examples import METRICS
from app.errors import Unauthorized
from app.observability import metrics

PATH = "/metrics"


def metrics_router(dependencies: Sequence[Depends]) -> APIRouter:
    """The route; ``dependencies`` say who may read it."""
    router = APIRouter(tags=["health"], dependencies=dependencies)
    router.add_api_route(
        PATH,
        read_metrics,
        summary="Metrics in Prometheus' text format",
        response_class=PlainTextResponse,
        responses=answer(METRICS, media_type="text/plain") | problems(Unauthorized, anywhere=SCRAPED),
    )
    return router


async def read_metrics() -> Response:
    """Requests, stage times, batch sizes, queue length, problems by code."""
    body, content_type = await asyncio.to_thread(metrics.exposition)
    return Response(body, headers={"Content-Type": content_type})
