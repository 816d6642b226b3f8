"""Failures to answers: RFC 9457 ``application/problem+json`` for ours, Starlette's and FastAPI's alike."""

import json
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app.api.schemas import ProblemBody
from app.errors import InternalError, InvalidParameter, MalformedUpload, MethodNotAllowed, NotFound, Problem
from app.observability import metrics

MEDIA_TYPE = "application/problem+json"

CLIENT_CLOSED_REQUEST = 499
"""Nobody reads this answer; the log and the metrics do."""


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every exception that a route raises. Unforeseen ones are left to ``app.api.requests``."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_parameter)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)


def problem_body(problem: Problem, request_id: str) -> ProblemBody:
    """What is said of a problem; it is counted here."""
    metrics.PROBLEMS.labels(problem.code).inc()
    return ProblemBody(
        type=f"urn:clipserve:problem:{problem.code}",
        title=problem.title,
        status=problem.http_status,
        detail=problem.detail,
        code=problem.code,
        request_id=request_id,
    )


def problem_response(problem: Problem, request_id: str) -> Response:
    """The answer to a problem."""
    body = problem_body(problem, request_id)
    headers = {} if problem.retry_after_seconds is None else {"Retry-After": str(problem.retry_after_seconds)}
    if problem.http_status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(json.dumps(body.model_dump()), problem.http_status, headers, MEDIA_TYPE)


def _answer(request: Request, problem: Problem) -> Response:
    request.state.problem_code = problem.code
    return problem_response(problem, request.state.request_id)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return _answer(request, error)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """What the router raises by itself, in our words: its texts may quote the request."""
    assert isinstance(error, HTTPException)
    known: dict[int, type[Problem]] = {400: MalformedUpload, 404: NotFound, 405: MethodNotAllowed}
    response = _answer(request, known.get(error.status_code, InternalError)())
    response.headers.update(error.headers or {})
    return response


async def _on_invalid_parameter(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    complaints = (f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors())
    return _answer(request, InvalidParameter("; ".join(complaints)))


async def _on_disconnect(request: Request, _error: Exception) -> Response:
    request.state.problem_code = "client_closed_request"
    return Response(status_code=CLIENT_CLOSED_REQUEST)
