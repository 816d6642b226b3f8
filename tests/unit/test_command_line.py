"""The command-line program: what it says and how it exits."""

import pytest

import clipserve


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert clipserve.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in clipserve.COMMANDS)


@pytest.mark.parametrize("argv", [[], ["fly"]])
def test_no_or_an_unknown_command_is_wrong_usage(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert clipserve.main(argv) == 2
    assert "usage: clipserve" in capsys.readouterr().err


@pytest.mark.parametrize("name", clipserve.COMMANDS)
def test_every_command_shows_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        clipserve.main([name, "--help"])
    assert stop.value.code == 0
    assert f"example:\n  clipserve {name}" in capsys.readouterr().out


def test_a_missing_file_is_wrong_usage_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert clipserve.main(["classify", "there-is-no-such.mp4"]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
