"""scientist tell: a researcher's word to an idea under way."""

from __future__ import annotations

import secrets
import shlex
import time
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.terminal import read_redactor, say
from agent.core.journal.kinds import PauseKind
from agent.edges.workspace.inbox import drop_word, put_word, take_in
from agent.edges.workspace.layout import Workspace, find_workspaces, read_state
from agent.edges.workspace.lock import hold_lock
from agent.errors import IntegrityError, Locked, UsageError
from agent.report.standings import nearby


def tell(
    path: Annotated[Path, typer.Argument(metavar="WS|BATCH", help="One idea, or all of a batch that have not ended.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Words for the model.")],
) -> None:
    """Tell the model something: the next prompt shows it.

    It stands there as the instruction of the researcher.
    """
    redact = read_redactor()
    found = find_workspaces(path)
    if not found:
        raise UsageError(str(path), "holds no workspace", "see: scientist status")
    damaged, heard = False, 0
    for workspace in found:
        try:
            said = deliver(workspace, redact(text))
        except IntegrityError as error:
            say(f"scientist: {error}")
            damaged = True
            continue
        if said:
            typer.echo(f"{nearby(workspace.path)}: {said}")
            heard += 1
    if not heard and not damaged:
        way = f"add runs and say it at once: scientist resume {shlex.quote(str(path))} --max-runs N --tell ..."
        problem = "has ended" if len(found) == 1 else "all of its ideas have ended"
        raise UsageError(str(path), problem, f"no model will be asked again; {way}")
    raise typer.Exit(6 if damaged else 0)


def deliver(workspace: Workspace, text: str) -> str:
    """Store the message for the running orchestrator, or in the journal if nobody works on the workspace.

    Returns how it will be read, or "" if the idea has ended.
    Raises: UsageError if the text cannot be used or the folder cannot be written; IntegrityError.
    """
    state = read_state(workspace)
    if state.ended:
        return ""
    deaf = f"; but {state.launched.model} reads no instructions" if state.launched.is_deaf else ""
    try:
        word = put_word(workspace.agent, text, now=time.time(), token=secrets.token_hex(4))
    except OSError as error:
        raise UsageError(
            str(workspace.path), f"cannot be written: {error.strerror}", "make it writable, then tell again"
        ) from error
    try:
        with hold_lock(workspace.agent):
            state = read_state(workspace)
            if state.ended:
                drop_word(workspace.agent, word)
                return ""
            take_in(workspace.agent, {w.id for w in state.words}, workspace.journal(read_redactor()).append)
    except Locked:
        return f"told; the next prompt shows it{deaf}"
    resume = f"scientist resume {shlex.quote(nearby(workspace.path))}"
    if state.attempt.candidate and state.pause and state.pause.kind is PauseKind.APPROVAL:
        return f"told; this sets the waiting edit aside and asks anew: {resume}"
    return f"told; the next prompt shows it{deaf}; go on: {resume}"
