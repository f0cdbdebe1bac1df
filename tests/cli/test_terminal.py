"""What is printed, by us or by a library, and what an unexpected error leaves behind."""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import typer
from rich.console import Console
from rich.text import Text

from agent.cli.terminal import VOICE, clean, clean_streams, describe_surprise, put, raise_end_behind, say, show_activity

KEY = "canary-5e8f2a71c0"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("X_API_KEY", KEY)
    return tmp_path


def test_whatever_is_printed_is_text_without_keys(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    with clean_streams():
        print("a", KEY, "\x1b[2Jb")
        typer.echo(f"c {KEY}\x07", err=True)
        sys.stdout.writelines(["d\n", "\ud800\n"])
        with pytest.raises(TypeError, match="must be str"):
            sys.stdout.write(b"x")  # type: ignore[arg-type]
    assert (sys.stdout, sys.stderr) == before
    out, err = capsys.readouterr()
    assert (out, err) == ("a [redacted: X_API_KEY] b\nd\n\ufffd\n", "c [redacted: X_API_KEY]\n")


def test_streams_come_back_after_an_error() -> None:
    before = sys.stdout
    with pytest.raises(ValueError, match="x"), clean_streams():
        raise ValueError("x")
    assert sys.stdout is before


def test_a_letter_that_the_terminal_has_not_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", out)
    with clean_streams():
        print("caf\u00e9 \u2026")
        sys.stdout.flush()
    assert out.buffer.getvalue() == b"caf\\xe9 \\u2026\n"  # type: ignore[attr-defined]


def test_an_ascii_stream_is_no_way_past_the_redactor(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", out)
    with clean_streams():
        typer.echo(f"{KEY}\x07 \u2026")
    assert out.buffer.getvalue() == b"[redacted: X_API_KEY] \\u2026\n"  # type: ignore[attr-defined]


def test_a_table_keeps_its_own_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    with clean_streams():
        console = Console(force_terminal=True, color_system="standard", no_color=False)
        console.print(Text.assemble(("a", "bold"), " ", clean(KEY)))
    assert out.getvalue() == "\x1b[1ma\x1b[0m [redacted: X_API_KEY]\n"


def test_an_unexpected_error_shows_no_key_and_nor_does_its_traceback(place: Path) -> None:
    (place / ".env").write_text("Y_TOKEN=in-the-file-1\n")
    try:
        raise KeyError(f"{'x' * 290} {KEY}\n\x1b[2J in-the-file-1")
    except KeyError as error:
        line = describe_surprise(error, place / "rescue")
    (kept,) = (place / "rescue").iterdir()
    assert str(kept) in line and "\n" not in line and "\x1b" not in line
    assert "canary" not in line, "no part of a key is left where a line is cut"
    text = kept.read_text()
    assert KEY not in text and "in-the-file-1" not in text and "[redacted: X_API_KEY]" in text


def test_threads_print_their_lines_one_after_another(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hidden: list[int] = []

    class Foot:
        """A moving line that must not be hidden by two threads at once."""

        @contextlib.contextmanager
        def hidden(self) -> Iterator[None]:
            hidden.append(1)
            time.sleep(0.001)
            yield
            hidden.append(-1)

        @property
        def is_hidden(self) -> bool:
            return sum(hidden) > 0

        def update(self, work: object, read_log: object = None) -> None:
            assert sum(hidden) == 0

    monkeypatch.setattr(VOICE, "foot", Foot())
    with ThreadPoolExecutor(4) as pool:
        for printed in [pool.submit(printer, f"line {n}") for n in range(8) for printer in (say, put, show_activity)]:
            printed.result()
    assert hidden == [1, -1] * 16
    assert sorted("".join(capsys.readouterr()).splitlines()) == sorted(f"line {n}" for n in [*range(8)] * 2)


@pytest.mark.parametrize("end", [SystemExit(143), KeyboardInterrupt()])
def test_a_request_to_end_that_comes_while_a_class_is_made_ends_the_work(end: BaseException) -> None:
    class Interrupted:
        def __set_name__(self, owner: object, name: str) -> None:
            raise end

    with pytest.raises(type(end)):
        try:
            type("Made", (), {"field": Interrupted()})
        except RuntimeError as error:  # of Python 3.11
            raise_end_behind(error)
    raise_end_behind(RuntimeError("another"))
