"""scientist templates: what there is to launch on."""

from __future__ import annotations

import json
from typing import Any

import typer

from agent.cli.app import app
from agent.cli.options import Json, environment_cache, template_roots


@app.command()
def templates(as_json: Json = False) -> None:
    """List the templates."""
    from agent.edges.template.environment import environment_for
    from agent.edges.template.load import list_templates, read_spec

    rows: list[dict[str, Any]] = []
    for folder in list_templates(template_roots()):
        spec = read_spec(folder)
        built = not spec.environment.install or environment_for(spec.environment, folder, environment_cache())
        profiles = sorted(p.stem for p in (folder / "profiles").glob("*.json"))
        rows.append(
            {
                "name": folder.name,
                "summary": spec.summary,
                "folder": str(folder),
                "profiles": profiles,
                "environment_built": bool(built),
            }
        )
    if as_json:
        typer.echo(json.dumps({"schema_version": 1, "templates": rows}, indent=2))
        return
    for row in rows:
        state = "ready" if row["environment_built"] else "environment not built"
        typer.echo(f"{row['name']}  {row['summary']}  [{', '.join(row['profiles']) or 'no profiles'}; {state}]")
