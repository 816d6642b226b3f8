"""Traces to an OpenTelemetry collector, by OTLP over HTTP. Imported only where one is configured, and alone imports the SDK.

    POST /classify      a span of the server, below the caller's ``traceparent``
    ├── upload          its stages, from the times that were measured
    ├── decode
    ├── queue
    └── model

The instrumentation of ASGI applications records address, query, user agent and sender of a request. Here it is shown a request
without them: what a client wrote, keys above all, cannot leave by this way. Endpoint, headers, sampling and all else are the
SDK's own variables: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

import asyncio
from collections.abc import Collection
from threading import Thread
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, format_trace_id, get_current_span, set_span_in_context
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.observability import logs
from app.observability.stages import StageTimes

FLUSH_SECONDS = 3.0
"""Time that the collector has at the end of the server to take the last spans."""

_SHOWN = ("type", "asgi", "http_version", "scheme", "method", "server", "state")
_ATTRIBUTES = {"request_id": "clipserve.request_id", "model": "clipserve.model", "problem_code": "clipserve.problem_code"}


class Tracing:
    """The way of spans to the collector: queued, sent in batches by a thread, dropped where nobody takes them."""

    def __init__(self, version: str) -> None:
        named = Resource.create({"service.name": "clipserve", "service.version": version})
        resource = named.merge(OTELResourceDetector().detect())  # OTEL_SERVICE_NAME wins
        self.provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self.provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))

    async def close(self) -> None:
        """Send what is left. A collector that does not answer is left to a thread that ends with the process."""
        flushing = Thread(target=self.provider.shutdown, daemon=True)
        flushing.start()
        await asyncio.to_thread(flushing.join, FLUSH_SECONDS)
        if flushing.is_alive():
            logs.warning("traces_lost", waited_seconds=FLUSH_SECONDS)


class TracedRequests:
    """ASGI: one span for each request that is not for one of ``untraced_paths``."""

    def __init__(self, app: ASGIApp, tracing: Tracing, untraced_paths: Collection[str]) -> None:
        self._app, self._untraced_paths = app, frozenset(untraced_paths)
        self._tracer = tracing.provider.get_tracer("clipserve")
        self._instrumented = OpenTelemetryMiddleware(
            self._within_span,
            default_span_details=lambda shown: (shown["method"], {}),
            tracer_provider=tracing.provider,
            meter_provider=NoOpMeterProvider(),
            exclude_spans=["receive", "send"],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or scope["path"] in self._untraced_paths:
            await self._app(scope, receive, send)
        else:
            await self._instrumented(_shown(scope), receive, send)

    async def _within_span(self, shown: Scope, receive: Receive, send: Send) -> None:
        scope, span = shown["clipserve.scope"], get_current_span()
        scope["state"]["trace_id"] = format_trace_id(span.get_span_context().trace_id)

        async def describing_send(message: Message) -> None:
            if message["type"] == "http.response.start" and span.is_recording():
                self._describe(span, scope)
            await send(message)

        await self._app(scope, receive, describing_send)

    def _describe(self, span: Span, scope: Scope) -> None:
        """Now that the answer begins, route, outcome and stages are known; with its end the span ends."""
        state: dict[str, Any] = scope["state"]
        if route := getattr(scope.get("route"), "path", None):  # the template: a path is the client's text
            span.update_name(f"{scope['method']} {route}")
            span.set_attribute("http.route", route)
        span.set_attributes({name: state[key] for key, name in _ATTRIBUTES.items() if key in state})
        if "stages" in state:
            self._add_stages(span, state["stages"])

    def _add_stages(self, span: Span, stages: StageTimes) -> None:
        context, begin_ns = set_span_in_context(span), stages.started_ns
        for stage, seconds in stages.seconds.items():
            end_ns = begin_ns + round(seconds * 1e9)
            self._tracer.start_span(stage, context, start_time=begin_ns).end(end_ns)
            begin_ns = end_ns


def _shown(scope: Scope) -> Scope:
    """What the instrumentation sees of a request: no text of the client; and, for ``_within_span`` alone, the whole."""
    scope.setdefault("state", {})
    parent = [(name, value) for name, value in scope["headers"] if name == b"traceparent"]
    return {key: scope[key] for key in _SHOWN if key in scope} | {"headers": parent, "path": "", "clipserve.scope": scope}
