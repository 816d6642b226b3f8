"""What every request passes on its way to a route: ids and log lines, traces, names, origins, and an answer to faults.

connection -> CloseWhileDraining -> LingeringClose -> traces -> RequestMiddleware -> CORS -> Faults -> TrustedHosts -> route
"""

from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from app.api import health, metrics
from app.api.draining import CloseWhileDraining
from app.api.faults import Faults
from app.api.lingering import LingeringClose
from app.api.requests import RequestMiddleware
from app.api.trusted_hosts import TrustedHosts
from app.inference.readiness import Readiness
from app.settings import Settings

if TYPE_CHECKING:
    from app.observability.tracing import Tracing


def add_middleware(app: FastAPI, settings: Settings, readiness: Readiness, tracing: "Tracing | None") -> None:
    """From the inside out: what is added last sees a request first."""
    scraped = (*health.PROBES, metrics.PATH)
    if settings.trusted_hosts:
        app.add_middleware(TrustedHosts, hosts=settings.trusted_hosts, exempt_paths=scraped)
    app.add_middleware(Faults)
    if settings.cors_origins:
        _allow_origins(app, settings.cors_origins)
    app.add_middleware(RequestMiddleware)
    if tracing:
        from app.observability.tracing import TracedRequests  # noqa: PLC0415 costs nothing where it is not used

        app.add_middleware(TracedRequests, tracing=tracing, untraced_paths=scraped)
    app.add_middleware(LingeringClose)
    app.add_middleware(CloseWhileDraining, readiness=readiness)


def _allow_origins(app: FastAPI, origins: tuple[str, ...]) -> None:
    app.add_middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["GET", "POST"],
        allow_headers=[
            "Authorization",
            "Content-Type",
            "Inference-Header-Content-Length",
            "X-API-Key",
            "X-Request-ID",
            "traceparent",
        ],
        expose_headers=["Cache-Status", "Inference-Header-Content-Length", "Retry-After", "Server-Timing", "X-Request-ID"],
    )
