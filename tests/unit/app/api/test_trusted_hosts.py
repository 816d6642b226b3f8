"""Which Host headers are names of the server."""

from typing import Any, cast

import pytest

from app.api.trusted_hosts import TrustedHosts

NO_APP = cast(Any, None)
TRUSTED = TrustedHosts(NO_APP, ["clips.example", "*.wide.example", "127.0.0.1", "[::1]"], ())


@pytest.mark.parametrize(
    "host",
    [
        "clips.example",
        "clips.example:8000",
        "CLIPS.Example",
        "a.wide.example",
        "a.b.wide.example:1",
        "127.0.0.1:80",
        "[::1]:8000",
    ],
)
def test_a_name_that_was_listed(host: str) -> None:
    assert TRUSTED.trust([host])


@pytest.mark.parametrize(
    "sent",
    [
        [],
        [""],
        ["evil.example"],
        ["wide.example"],
        ["evilwide.example"],
        ["clips.example.evil.example"],
        ["evil.example:clips.example"],
        ["evil.example/.wide.example"],
        ["clips.example@evil.example"],
        ["clips.example:80:80"],
        ["clips.example:"],
        ["[::2]"],
        ["clips.example", "evil.example"],
        ["clips.example", "clips.example"],
        ["\u0130"],
    ],
)
def test_anything_else(sent: list[str]) -> None:
    assert not TRUSTED.trust(sent)


def test_a_star_is_any_name() -> None:
    assert TrustedHosts(NO_APP, ["*"], ()).trust(["anything"])
