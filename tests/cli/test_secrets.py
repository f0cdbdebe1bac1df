"""A canary key of the environment and one of .env through the whole product: no file and no output has them."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.cli.conftest import SCIENTIST, Scientist, environment, only_workspace
from tests.fakes import block
from tests.loop.lines import FASTER, NO_PLOT_EDIT, NOTES, PLAN
from tests.paths import QUADRATIC
from tests.provider.faults import Act, Fault
from tests.provider.server import StrictServer
from tests.provider.wire import JSON, Response

CANARY = 'canary-"5e8f2a71c0/%x'
IN_FILE = "canary-in-the-file-zq77b1"
PARTS = ("5e8f2a71c0", "zq77b1")
NAMES = ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "SSH_AUTH_TOKEN", "MY_PASSWORD", "OTHER_API_KEY", "X_CREDENTIALS")
MADE = "    out.mkdir(exist_ok=True)\n"


def spying(key: str) -> str:
    """Code that has a key in it, prints it, and prints what a run can read of its own and its parents' processes."""
    return f"""
    print({key!r}, {json.dumps(key)!r})
    for folder in sorted(Path("/proc").glob("[0-9]*")):
        for name in ("environ", "cmdline"):
            try:
                print(folder.name, name, (folder / name).read_bytes().decode("latin-1"))
            except OSError as error:
                print(folder.name, name, type(error).__name__)
    raise RuntimeError({key!r})
"""


@contextlib.contextmanager
def command_lines() -> Iterator[set[bytes]]:
    """Those of every process that is seen meanwhile."""
    seen: set[bytes] = set()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    seen.add(path.read_bytes())
            time.sleep(0.1)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def files_with_a_key(folder: Path) -> list[Path]:
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != ".env"]
    return [p for p in files if any(part.encode() in p.read_bytes() for part in PARTS)]


def test_a_key_appears_nowhere(folder: Path, scientist: Scientist) -> None:
    (folder / ".env").write_text(f"FILE_API_KEY={IN_FILE}\n")
    ideas = json.loads((folder / "ideas.json").read_text())[:1]
    ideas[0]["Experiment"] = f"Try momentum; log in with {IN_FILE}."
    (folder / "ideas.json").write_text(json.dumps(ideas))
    (folder / "refs").mkdir()
    (folder / "refs" / "a.md").write_text(f"Log in with {CANARY}.")
    echo = f"As you say, the key is {CANARY}, or {json.dumps(IN_FILE)}.\n<think>{CANARY}</think>\n"
    replies = [
        echo + PLAN + FASTER + block("experiment.py", MADE, MADE + spying(CANARY)),
        echo + block("experiment.py", f"    raise RuntimeError({CANARY!r})\n", ""),
        echo + NO_PLOT_EDIT,
        echo + NOTES,
    ]
    body = json.dumps({"error": {"message": f"no capacity for the key {CANARY}"}}).encode()
    refused = Fault("echo", Act.SEND, Response(503, body, JSON))
    with StrictServer("deepseek", replies, [refused], api_key=CANARY) as server, command_lines() as seen:
        keys = dict.fromkeys(NAMES, CANARY) | server.environment()
        launch = subprocess.run(
            [SCIENTIST, "launch", "ideas.json", "--template", QUADRATIC, "--max-runs", "1", "--model", server.model],
            cwd=folder, env=environment(**keys, SCIENTIST_CACHE=str(folder / "cache")),
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        told = [launch.stdout, launch.stderr]
        doctor = scientist("doctor", "--template", QUADRATIC, "--model", server.model, **keys)
        told += [doctor.stdout, doctor.stderr]
        sent = [json.dumps(request.body) for request in server.requests]
    path = only_workspace(folder)
    for arguments in (
        ["status"], ["status", "--json"], ["show", path], ["show", path, "1"], ["show", path, "--json"],
        ["history", path], ["history", path, "--json"], ["diff", path, "start"], ["verify", path],
        ["verify", path, "--json"], ["logs", path], ["logs", path, "1"], ["logs", path, "--raw"],
        ["show", path / CANARY], ["tell", path, CANARY], ["launch", CANARY], [CANARY],
        ["launch", "ideas.json", "--template", QUADRATIC, "--model", CANARY],
    ):  # fmt: skip
        done = scientist(*arguments, **keys)
        told += [done.stdout, done.stderr]
    assert launch.returncode == 0, launch.stderr
    assert "RuntimeError: [redacted: " in "".join(told), "the run printed what it was given"
    assert len(sent) >= 5 + 2
    for text in (*told, *sent):
        assert not any(part in text for part in PARTS), text[max(0, text.find(PARTS[0]) - 300) :][:600]
    assert files_with_a_key(folder / "workspaces") == files_with_a_key(folder / "cache") == []
    assert [line for line in seen if any(part.encode() in line for part in PARTS)] == []
