"""What stands in front of every request."""

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.connections import ConnectionLimits, LimitedProtocol, limited_protocol

LIMITS = ConnectionLimits(max_connections=1, head_timeout_seconds=2.0, send_timeout_seconds=3.0)


def test_requests_are_parsed_by_httptools_within_limits() -> None:
    """Where it is not told, uvicorn takes another parser if this one is missing, without limits of ours."""
    config = uvicorn.Config("app.main:none", http=limited_protocol(LIMITS))
    assert isinstance(config.http, type)
    assert issubclass(config.http, LimitedProtocol)
    assert issubclass(LimitedProtocol, HttpToolsProtocol)
    assert config.http.limits == LIMITS
