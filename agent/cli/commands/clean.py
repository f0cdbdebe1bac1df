"""scientist clean: environments and prepared data, with what still uses them, and the removal of the rest."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.options import Json, WorkspacesDir
from agent.cli.places import data_cache, environment_cache, template_roots
from agent.cli.table import DEFAULT_WORKSPACES
from agent.cli.terminal import say
from agent.edges.model.aider import AIDER, REQUIREMENTS
from agent.edges.template.cache.contents import (
    CacheEntry,
    Removal,
    find_entries,
    find_users,
    remove_entry,
    with_users,
)
from agent.edges.template.data import find_store, store_size
from agent.edges.template.environment import environment_for
from agent.edges.template.interpreters import python_places
from agent.edges.template.load import environment_of, list_templates, profile_names, read_spec
from agent.edges.workspace.layout import find_workspaces, read_state, template_store
from agent.edges.workspace.litter import find_litter, remove_litter
from agent.errors import ScientistError, UsageError
from agent.report.spending import say_size

MOST_USERS = 3
SMALL_BYTES = 1 << 20
MOST_SMALL = 5  # of unused ones that are listed one by one


def clean(
    workspaces: WorkspacesDir = DEFAULT_WORKSPACES,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list.")] = False,
    as_json: Json = False,
) -> None:
    """Remove environments and prepared data that nothing uses.

    Those of templates and workspaces in sight stay, and so does what a running process uses. It asks first.
    """
    if yes and dry_run:
        raise UsageError("options", "--yes or --dry-run, not both", "leave one out")
    if workspaces != DEFAULT_WORKSPACES and not workspaces.is_dir():  # its ideas would seem to use nothing
        raise UsageError(f"--workspaces {workspaces}", "is no folder", "name the one whose ideas use the cache")
    cache = environment_cache()
    entries = look(cache, workspaces)
    litter = find_litter(workspaces, template_store(workspaces))
    unused = [entry for entry in entries if not entry.used_by]
    if not as_json:
        show_entries(cache, entries, litter)
    wanted = bool(unused or litter) and not dry_run and (yes or (not as_json and confirm(unused, litter)))
    done = {entry.path: remove_entry(entry) for entry in unused} if wanted else {}
    if wanted:
        remove_litter(workspaces, template_store(workspaces))
    left = [path for path in litter if os.path.lexists(path)]
    if as_json:
        typer.echo(json.dumps(describe(cache, entries, litter, done), indent=2))
    elif wanted:
        tell_removed(entries, done, left)
    raise typer.Exit(1 if Removal.FAILED in done.values() or (wanted and left) else 0)


def look(cache: Path, workspaces: Path) -> list[CacheEntry]:
    """Every entry of the cache with its users.

    Raises: UsageError if the cache cannot be read.
    """
    try:
        entries = find_entries(cache, data_cache())
    except OSError as error:
        raise UsageError(f"cache {cache}", f"cannot be read: {error.strerror}", "set SCIENTIST_CACHE") from error
    users: dict[Path, list[str]] = {}
    for path, user in [*used_by_templates(cache), *used_by_workspaces(workspaces)]:
        users.setdefault(path, []).append(user)
    return with_users(with_users(entries, users), find_users(entries))


def used_by_templates(cache: Path) -> Iterator[tuple[Path, str]]:
    """Interpreters and stores of data of the templates in sight, and of aider, each with its user."""
    places = python_places(os.environ)
    if python := environment_for(AIDER, REQUIREMENTS.parent, cache, places):
        yield python, "aider"
    for folder in list_templates(template_roots()):
        user = f"template {folder.name}"
        try:
            spec = read_spec(folder)
        except UsageError as error:  # it may use anything
            say(f"scientist: {error}")
            yield cache, f"{user}, perhaps, since it cannot be read"
            continue
        yield find_store(data_cache(), spec.name), user
        for profile in ("", *profile_names(folder)):
            if python := environment_for(environment_of(spec, profile), folder, cache, places):
                yield python, f"{user} ({profile})" if profile else user


def used_by_workspaces(root: Path) -> Iterator[tuple[Path, str]]:
    """Interpreters and data of the workspaces in sight, each with its user: one that has ended may go on."""
    for workspace in find_workspaces(root):
        user = f"workspace {os.path.relpath(workspace.path)}"
        try:
            launched = read_state(workspace).launched
        except (ScientistError, OSError) as error:
            say(f"scientist: {error}")
            yield environment_cache(), f"{user}, perhaps, since it cannot be read"
            continue
        yield Path(launched.python), user
        if launched.training or launched.evaluation:
            yield find_store(data_cache(), launched.template), user


def show_entries(cache: Path, entries: Sequence[CacheEntry], litter: Sequence[Path]) -> None:
    if not entries and not litter:
        typer.echo(f"{cache}: holds no environment and no prepared data")
    small = [entry for entry in entries if not entry.used_by and entry.bytes < SMALL_BYTES]
    hidden = small if len(small) > MOST_SMALL else []
    for entry in sorted(entries, key=lambda one: (not one.used_by, -one.bytes)):
        if entry in hidden:
            continue
        more = len(entry.used_by) - MOST_USERS
        users = ", ".join(entry.used_by[:MOST_USERS]) + (f" and {more} more" if more > 0 else "")
        said = f"used by {users}" if entry.used_by else "nothing in sight uses it"
        typer.echo(f"{say_size(entry.bytes):>9}  {entry.kind}  {entry.path}: {said}")
    if hidden:
        size = say_size(sum(entry.bytes for entry in hidden))
        typer.echo(f"{size:>9}  {len(hidden)} folders of less than 1 MiB below {cache}: nothing in sight uses them")
    for path in litter:
        typer.echo(f"{say_size(store_size(path)):>9}  rest of an interrupted launch  {path}")


def confirm(unused: Sequence[CacheEntry], litter: Sequence[Path]) -> bool:
    """Ask whether all of it is to be removed.

    Raises: UsageError if nobody is there to answer.
    """
    size = say_size(sum(entry.bytes for entry in unused) + sum(map(store_size, litter)))
    count = len(unused) + len(litter)
    if not sys.stdin.isatty():
        raise UsageError("clean", f"nobody can be asked whether to remove {count} of these ({size})", "add --yes")
    return typer.confirm(f"remove the {count} that nothing uses ({size})?", default=False)


def tell_removed(entries: Sequence[CacheEntry], done: Mapping[Path, Removal], left: Sequence[Path]) -> None:
    freed = sum(entry.bytes for entry in entries if done.get(entry.path) is Removal.REMOVED)
    typer.echo(f"freed {say_size(freed)}")
    for path, removal in done.items():
        if removal is not Removal.REMOVED:
            typer.echo(f"{path}: {removal}")
    for path in left:
        typer.echo(f"{path}: {Removal.FAILED}")


def describe(
    cache: Path, entries: Sequence[CacheEntry], litter: Sequence[Path], done: Mapping[Path, Removal]
) -> dict[str, object]:
    return {
        "schema_version": 1,
        "cache": str(cache),
        "entries": [
            {
                "path": str(entry.path),
                "kind": entry.kind.value,
                "bytes": entry.bytes,
                "used_by": list(entry.used_by),
                "outcome": done[entry.path].value if entry.path in done else "",
            }
            for entry in entries
        ],
        "litter": [{"path": str(path), "removed": not os.path.lexists(path)} for path in litter],
    }
