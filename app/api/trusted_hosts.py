"""Which names of the server are answered: a page that makes its own name resolve to this machine is told nothing."""

import re
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.problems import send_problem
from app.errors import UntrustedHost

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?")


class TrustedHosts:
    """Refuses a request whose ``Host`` none of ``hosts`` matches: a name, ``*.`` and a domain for all below it, or ``*``."""

    def __init__(self, app: ASGIApp, hosts: Collection[str], exempt_paths: Collection[str]) -> None:
        """``exempt_paths`` are called by the address of the machine, which nobody can list."""
        self._app, self._exempt_paths = app, frozenset(exempt_paths)
        self._names = {host.lower() for host in hosts}
        self._domains = tuple(host.lower()[1:] for host in hosts if host.startswith("*."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        is_exempt = scope["type"] != "http" or scope["path"] in self._exempt_paths
        if is_exempt or self.trust(Headers(scope=scope).getlist("host")):
            await self._app(scope, receive, send)
        else:
            await send_problem(UntrustedHost(), scope, receive, send)

    def trust(self, sent: list[str]) -> bool:
        """Whether ``sent``, the values of all Host headers, is one trusted name, with or without a port."""
        if "*" in self._names:
            return True
        parts = _HOST.fullmatch(sent[0].lower()) if len(sent) == 1 else None
        return parts is not None and (parts["name"] in self._names or parts["name"].endswith(self._domains))
