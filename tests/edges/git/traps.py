"""A repository in which all that git can be made to run touches a canary: as a model, or its run, may leave one."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

HOOKS = (
    "pre-commit",
    "commit-msg",
    "prepare-commit-msg",
    "post-commit",
    "post-checkout",
    "post-index-change",
    "reference-transaction",
    "fsmonitor-watchman",
)
ATTRIBUTES = "* filter=evil diff=evil merge=evil text eol=crlf ident working-tree-encoding=UTF-16\n"
VICTIM = "what lies elsewhere\n"


def traps(folder: Path, canary: Path) -> str:
    """Git configuration that runs commands, which lie beside the repository's folder."""
    touch = f"touch '{canary}'; cat"
    hooks = folder.parent / "hooks"
    write_hooks(hooks, canary)
    (folder.parent / "attributes").write_text(ATTRIBUTES)
    included = folder.parent / "included"
    quoted = json.dumps(touch)
    included.write_text(f"[core]\n    fsmonitor = {quoted}\n[diff]\n    external = {quoted}\n")
    return f"""
[core]
    hooksPath = {json.dumps(str(hooks))}
    fsmonitor = {quoted}
    pager = {quoted}
    editor = {quoted}
    askPass = {quoted}
    sshCommand = {quoted}
    gitProxy = {quoted}
    alternateRefsCommand = {quoted}
    worktree = {json.dumps(str(folder.parent))}
    autocrlf = true
    sparseCheckout = true
    attributesFile = {json.dumps(str(folder.parent / "attributes"))}
    excludesFile = {json.dumps(str(folder.parent / "attributes"))}
[include]
    path = {json.dumps(str(included))}
[extensions]
    partialClone = elsewhere
[remote "elsewhere"]
    promisor = true
    url = {json.dumps(str(folder.parent / "elsewhere"))}
    uploadpack = {json.dumps(f"touch '{canary}'; git-upload-pack")}
[protocol]
    allow = always
[protocol "file"]
    allow = always
[protocol "ext"]
    allow = always
[credential]
    helper = "!{touch}"
[filter "evil"]
    clean = {quoted}
    smudge = {quoted}
    process = {quoted}
    required = true
[diff]
    external = {quoted}
    renames = copies
    orderFile = /nowhere
    noprefix = true
    context = 0
[diff "evil"]
    command = {quoted}
    textconv = {quoted}
[merge "evil"]
    driver = {quoted}
[alias]
    commit-tree = "!touch '{canary}'"
    log = "!touch '{canary}'"
    diff = "!touch '{canary}'"
[hook "evil"]
    event = pre-commit
    command = {quoted}
[commit]
    gpgSign = true
[tag]
    gpgSign = true
    forceSignAnnotated = true
[gpg]
    program = {json.dumps(str(hooks / "pre-commit"))}
[log]
    showSignature = true
[i18n]
    commitEncoding = ISO-8859-1
    logOutputEncoding = ISO-8859-1
[trailer]
    separators = "#"
[trailer "Step-Id"]
    command = {quoted}
[submodule]
    recurse = true
[trace2]
    eventTarget = {json.dumps(str(canary))}
[color]
    ui = always
[user]
    name = Mallory
"""


def write_hooks(folder: Path, canary: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name in HOOKS:
        (folder / name).write_text(f"#!/bin/sh\ntouch '{canary}'\n")
        (folder / name).chmod(0o755)


def plant(folder: Path, canary: Path) -> Path:
    """Set every trap in the repository, and return the file that its index now leads to."""
    git_folder = folder / ".git"
    fake = _git(folder, "commit-tree", "-m", "Forged", "HEAD^{tree}")
    _git(folder, "replace", "HEAD", fake)
    head = _git(folder, "rev-parse", "HEAD")
    (git_folder / "info" / "grafts").write_text(f"{head} {fake}\n")
    (git_folder / "shallow").write_text(f"{head}\n")
    _git(folder, "init", "-q", "--bare", str(folder.parent / "elsewhere"))
    (git_folder / "objects" / "info").mkdir(exist_ok=True)
    (git_folder / "objects" / "info" / "alternates").write_text(f"{folder.parent / 'elsewhere' / 'objects'}\n")
    config = git_folder / "config"
    config.write_text(config.read_text() + traps(folder, canary))
    write_hooks(git_folder / "hooks", canary)
    (git_folder / "info" / "attributes").write_text(ATTRIBUTES)
    (folder / ".gitattributes").write_text(ATTRIBUTES)
    victim = folder.parent / "victim"
    victim.write_text(VICTIM)
    (git_folder / "index").unlink()
    (git_folder / "index").symlink_to(victim)
    return victim


def spring(folder: Path) -> None:
    """Run the commands of a person's git in such a folder."""
    subprocess.run(["git", "-C", str(folder), "log", "-1"], capture_output=True, check=False)
    subprocess.run(["git", "-C", str(folder), "-c", "core.worktree=", "status"], capture_output=True, check=False)
    subprocess.run(["git", "-C", str(folder), "diff", "HEAD~1", "HEAD"], capture_output=True, check=False)


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=Mallory", "-c", "user.email=m@localhost", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
