"""``GET /metrics`` for Prometheus."""

from fastapi import APIRouter, Depends, Response
from fastapi.responses import PlainTextResponse

from app.api.auth import require_api_key
from app.api.documented import answer, problems
from app.api.examples import METRICS
from app.errors import Unauthorized
from app.observability import metrics

router = APIRouter(tags=["health"], dependencies=[Depends(require_api_key)])


@router.get(
    "/metrics",
    summary="Metrics in Prometheus' text format",
    response_class=PlainTextResponse,
    responses=answer(METRICS, media_type="text/plain") | problems(Unauthorized),
)
async def read_metrics() -> Response:
    """Requests, stage times, batch sizes, queue length, problems by code."""
    body, content_type = metrics.exposition()
    return Response(body, headers={"Content-Type": content_type})
