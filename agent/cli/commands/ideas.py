"""scientist ideas and idea: the ideas files, and new ones from one sentence."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.options import Json
from agent.cli.places import find_ideas, ideas_roots, list_ideas, read_ideas
from agent.cli.table import make_typer, require_command
from agent.core.inputs.idea import new_idea, parse_ideas
from agent.core.model.messages import scrub
from agent.edges.system.files import write_durably
from agent.errors import UsageError


def ideas(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="IDEAS...", help="Files or names; default: ./ideas, and those that ship."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the ideas of a file, or of every file that is found."""
    paths = [find_ideas(name, ideas_roots()) for name in files] if files else list_ideas(ideas_roots()).values()
    found = {str(path): read_ideas(path) for path in paths}
    if as_json:
        listed = [
            {"file": path, "number": n, "name": i.slug, "title": i.Title}
            for path, ideas_ in found.items()
            for n, i in enumerate(ideas_, start=1)
        ]
        typer.echo(json.dumps({"schema_version": 1, "ideas": listed}, indent=2, ensure_ascii=False))
        return
    for path, ideas_ in found.items():
        typer.echo(f"{Path(path).stem}: {path}")
        for number, idea in enumerate(ideas_, start=1):
            typer.echo(f"  {number}. {idea.slug}: {idea.Title}")


idea = make_typer(invoke_without_command=True)


@idea.callback()
def group(context: typer.Context) -> None:
    """Write ideas."""
    require_command(context, 'scientist idea new "SENTENCE"')


@idea.command()
def new(
    sentence: Annotated[str, typer.Argument(metavar='"SENTENCE"', help="The idea, in one sentence.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.json", help="Default: ideas/<name of the idea>.json.")
    ] = None,
    append: Annotated[bool, typer.Option("--append", help="Add it to the ideas that --out holds already.")] = False,
) -> None:
    """Write an idea file from one sentence. Every other field is yours to add."""
    idea = new_idea(sentence)
    path = out or Path("ideas") / f"{idea.slug}.json"
    before: list[object] = []
    if os.path.lexists(path):
        if not append:
            raise UsageError(str(path), "is there already", "add to it with --append, or name another file with --out")
        before = read_raw(path)
    text = json.dumps([*before, idea.model_dump(exclude_unset=True)], indent=2, ensure_ascii=False) + "\n"
    *others, last = parse_ideas(text, str(path))
    number = len(others) + 1
    if last.slug != idea.slug:
        like = next((n for n, other in enumerate(others, start=1) if other.slug == idea.slug), 1)
        problem = f"has the same name as idea {like}: {idea.slug}"
        raise UsageError(f"{path}: idea {number}", problem, "write another sentence, or name another file with --out")
    write_ideas(path, text)
    typer.echo(f"wrote idea {number} of {path}: {idea.slug}")
    typer.echo(f"next: scientist launch {shlex.quote(str(path))} --idea {idea.slug} --template TEMPLATE")


def read_raw(path: Path) -> list[object]:
    """The ideas of a file as they are written there.

    Raises: UsageError if it is not an ideas file.
    """
    read_ideas(path)
    raw = scrub(json.loads(path.read_text("utf-8-sig")))
    return raw if isinstance(raw, list) else [raw]


def write_ideas(path: Path, text: str) -> None:
    """Raises: UsageError if the file cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path.resolve(), text.encode("utf-8"))
    except OSError as error:
        raise UsageError(str(path), f"cannot be written: {error.strerror}", "name another file with --out") from error
