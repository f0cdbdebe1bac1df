"""`--editor aider`: the aider command, in an environment of its own, as the model that turns an instruction into edits.

It works on a copy of the files that may be changed. Its changes come back as SEARCH/REPLACE blocks and pass the gates
of every reply.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from agent.core.edit.from_texts import Unwritable, blocks_of
from agent.core.failure.diagnose import FailureKind
from agent.core.inputs.spec import Environment
from agent.core.model.faults import FaultAction, FaultKind
from agent.core.model.rules import ModelRules
from agent.core.model.variables import provider_prefixes
from agent.core.text.redact import Redactor
from agent.edges.model.aider_output import Heard, read_output
from agent.edges.model.call import address_and_key, sleep_unless_stopped
from agent.edges.model.protocol import ModelReply, Request
from agent.edges.model.throttle import Held, Throttle, Ticket
from agent.edges.sandbox.resolve import shut_in_program
from agent.edges.system.child import KILLED, ChildCommand, run_child
from agent.edges.system.faults import is_machine_fault
from agent.errors import ContextTooLong, ProviderRefused, ProviderUnavailable, StopRequested

__all__ = ["AIDER", "DEADLINE_S", "REQUIREMENTS", "AiderModel", "aider_environment", "aider_executable", "arguments"]

# A folder of its own: commands that build the environment run in it, and would import this very module as `aider`.
REQUIREMENTS = Path(__file__).parent / "aider_environment" / "requirements.txt"
AIDER = Environment(
    python=">=3.11,<3.13",
    install=(("-r", REQUIREMENTS.name),),
    check="import aider.main, importlib.metadata as m; assert m.version('aider-chat') == '0.86.2'",
    # Our own price list serves aider too; else importing its litellm fetches one.
    variables={"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
)
DEADLINE_S = 900.0
LONGEST_WAIT_S = 120.0
OUTPUT_BYTES = 1 << 20
OWN_CHARS = 8000  # of aider's own prompt

# "PATH", "LC_CTYPE", "https_proxy"
_INHERITED = re.compile(
    r"PATH|LANG|LANGUAGE|LC_[A-Z]+|TZ|(HTTPS?|ALL|NO)_PROXY|(https?|all|no)_proxy|SSL_CERT_(FILE|DIR)|(REQUESTS|CURL)_CA_BUNDLE"
)
# Nothing else is asked, sent, fetched, run, committed or read: no version check, analytics, git, linter, shell command,
# address in the text, configuration or history of the user's.
_QUIET = (
    "--yes-always", "--no-git", "--no-gitignore", "--no-auto-commits", "--no-dirty-commits", "--no-auto-lint",
    "--no-auto-test", "--no-suggest-shell-commands", "--no-detect-urls", "--disable-playwright", "--no-check-update",
    "--no-show-release-notes", "--no-analytics", "--analytics-disable", "--no-show-model-warnings",
    "--no-check-model-accepts-settings", "--no-notifications", "--no-watch-files", "--no-copy-paste",
    "--no-restore-chat-history", "--no-pretty", "--no-stream", "--no-fancy-input", "--map-tokens=0",
)  # fmt: skip
_TASK = "Carry out this instruction for an experiment. The files that may be changed are {names}.\n\n"


@dataclass(frozen=True, slots=True)
class AiderModel:
    """The aider command as a model. It carries out a planner's instruction and edits the files itself."""

    # litellm's name of the model that aider asks.
    model: str
    # The aider command.
    executable: Path
    # Environment variables, the keys of providers among them.
    inherited: Mapping[str, str]
    # Seconds that one question may take, all tries included.
    patience_s: float
    # Limits and prices of `model`.
    rules: ModelRules = field(default_factory=ModelRules)
    # Asked while it works or waits: True ends it.
    is_stopped: Callable[[], bool] = lambda: False
    # Queue of the requests to `model`.
    throttle: Throttle = field(default_factory=Throttle)
    # Takes keys out of aider's words.
    redact: Redactor = field(default_factory=Redactor)
    # Seconds of one try, all of aider's requests included.
    deadline_s: float = DEADLINE_S
    # None: no prompt counts as too long.
    window_tokens: ClassVar[int | None] = None
    # It reads `Request.files`, so a prompt need not show files in part.
    takes_files: ClassVar[bool] = True
    # "aider/" and `model`.
    name: str = field(init=False, default="")

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"aider/{self.model}")

    def ask(self, request: Request) -> ModelReply:
        """Let aider carry out the instruction of the request.

        Raises: ProviderUnavailable once patience is spent, ProviderRefused, StopRequested.
        """
        import tenacity

        retry = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(ProviderUnavailable),
            wait=tenacity.wait_random_exponential(multiplier=1, max=LONGEST_WAIT_S),
            stop=tenacity.stop_after_delay(self.patience_s),
            sleep=self._sleep,
            reraise=True,
        )
        return retry(self._ask_once, request)

    def _ask_once(self, request: Request) -> ModelReply:
        texts = (_instruction(request), *(request.files[path] for path in _chat(request)))
        chars = OWN_CHARS + sum(map(len, texts))
        try:
            with self.throttle.admit(self.model, self.rules, chars, self._sleep, self.patience_s) as ticket:
                self.throttle.keep(ticket)
                reply = self._work(request, ticket)
                self.throttle.settle(self.model, ticket, reply.paid)
                return reply
        except Held as held:
            raise ProviderUnavailable(self.name, f"its provider asks to wait {held.seconds:.0f} s") from held

    def _work(self, request: Request, ticket: Ticket) -> ModelReply:
        with tempfile.TemporaryDirectory(prefix="aider-", ignore_cleanup_errors=True) as name:
            # Two folders deep: a reply that writes to ../../x.py stays in what is thrown away.
            work, home = Path(name, "deep", "down", "work"), Path(name, "home")
            for folder in (work, home):
                folder.mkdir(parents=True)
            _write_files(work, request.files)
            code = self._run(work, home, request)
            heard = read_output(_read_end(home / "output"), self.redact)
            new, strays = _read_files(work, request)
        strays += [path for path in heard.written if path not in request.view.editable and path not in strays]
        if new == {path: text for path, text in request.files.items() if path in new}:
            self._refuse(code, heard, ticket)
        text = self._tell(request.files, new, strays, heard)
        return ModelReply(text, self.name, heard.paid)

    def _run(self, work: Path, home: Path, request: Request) -> int:
        """aider's exit code. Its output is in `home`, and its whole process group is killed at the deadline.

        Raises: ProviderUnavailable at the deadline, ProviderRefused if it cannot be started, StopRequested.
        """
        editable = ", ".join(request.view.editable)
        # Its own words come first: aider takes a message that begins with / or ! for a command.
        (home / "message").write_text(_TASK.format(names=editable) + _instruction(request), "utf-8", errors="replace")
        name, address = _name_and_address(self.model, self.inherited)
        environment = aider_environment(name, {**self.inherited, **address}, home)
        command = [
            *self._hold(home, environment),
            str(self.executable),
            *arguments(name, self.rules, home, self.deadline_s),
            "--",
            *_chat(request),
        ]
        with (home / "output").open("wb") as output:
            child = ChildCommand(command, work, environment, output)
            try:
                end = run_child(child, None, deadline_s=self.deadline_s, is_stopped=self.is_stopped, grace_s=0.0)
            except OSError as error:
                if is_machine_fault(error):
                    raise
                problem = f"{self.executable} cannot be run: {error.strerror}; build it again: scientist setup aider"
                raise ProviderRefused(self.name, problem) from error
        if end.stopped:
            raise StopRequested("stopped by request while aider was at work")
        if end.timed_out:
            raise ProviderUnavailable(self.name, f"did not end within {self.deadline_s:g} s and was killed")
        if end.code in KILLED:  # its files may hold a part of the edit
            raise ProviderUnavailable(self.name, f"was {end.told}, by the kernel for want of memory, or by a person")
        return end.code

    def _hold(self, home: Path, environment: Mapping[str, str]) -> list[str]:
        """The command that keeps aider to its folder whatever paths a model names, or [] without its interpreter."""
        python = self.executable.resolve().with_name("python")
        if not python.exists():
            return []
        own = self.inherited.get("HOME", "")
        return shut_in_program(home / "walls.json", python, environment, write=[home.parent], home=own)

    def _refuse(self, code: int, heard: Heard, ticket: Ticket) -> None:
        """Refuse a try in which nothing changed because no model answered.

        Raises: ProviderUnavailable, ProviderRefused.
        """
        fault = heard.fault
        if fault and fault.kind is FaultKind.RATE_LIMIT:
            self.throttle.refuse(self.model, ticket, fault, fault.wait_s or 0.0)
        if fault and fault.kind is FaultKind.LENGTH:
            raise ContextTooLong(self.name, fault.text, fault.window_tokens)
        if fault:
            raise (ProviderUnavailable if fault.kind.action is FaultAction.WAIT else ProviderRefused)(
                self.name, fault.text
            )
        if code != 0:
            raise ProviderRefused(self.name, f"ended with exit code {code}: {heard.last}")

    def _tell(self, old: Mapping[str, str], new: Mapping[str, str], strays: list[str], heard: Heard) -> str:
        """The reply: the changes, in words and as blocks."""
        left_out = f"It also wrote {', '.join(strays)}, which may not be changed; that is left out.\n" if strays else ""
        try:
            blocks = blocks_of(old, new)
        except Unwritable as error:
            return f"aider changed {error.path} into lines that cannot be told from markers of an edit.\n{left_out}"
        if not blocks:
            why = f" {heard.trouble}" if heard.trouble else ""
            return f"aider changed nothing.{why}\n{left_out}"
        changed = ", ".join(path for path, text in new.items() if old.get(path) != text)
        return f"aider changed {changed}.\n{left_out}\n{blocks}"

    def _sleep(self, seconds: float) -> None:
        sleep_unless_stopped(seconds, self.is_stopped)


def _read_end(path: Path) -> str:
    """The last OUTPUT_BYTES of a file, of which only these are read."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - OUTPUT_BYTES))
        return file.read(OUTPUT_BYTES).decode("utf-8", "replace")


def _instruction(request: Request) -> str:
    """The planner's words, the failure that they are to mend, and the reasons against the edit before this one.

    The failure is left out under the same conditions as in edit.j2, the prompt of our own editor.
    """
    view = request.view
    failure, failed = view.code_failure or view.state.run.failure, ""
    if failure and failure.kind is not FailureKind.EDIT and not view.restored:
        failed = f"\n\nThe failure that it is to mend: {failure.summary}\n{failure.detail}".rstrip()
    feedback = view.texts.feedback
    refused = f"\n\nThe edit that was made of this before was refused:\n{feedback}" if feedback else ""
    return view.texts.instruction + failed + refused


def _chat(request: Request) -> list[str]:
    """The files whose text aider shows its model: those of the view, and others that the instruction names."""
    return [path for path in request.files if path in request.view.files or path in request.view.texts.instruction]


def aider_executable(python: Path) -> Path:
    """The command in the environment of that interpreter."""
    return python.with_name("aider")


def arguments(model: str, rules: ModelRules, home: Path, deadline_s: float) -> list[str]:
    """The command line of one instruction without the files. Settings for aider are written to the empty `home`."""
    settings = json.dumps([_settings(model, rules)])
    for name, text in (("config.yml", "{}\n"), ("keys.env", ""), ("settings.yml", settings)):
        (home / name).write_text(text)
    # A fresh price list that names no model: with none, or an empty one, aider fetches its own.
    prices = home / ".aider" / "caches" / "model_prices_and_context_window.json"
    prices.parent.mkdir(parents=True, exist_ok=True)
    prices.write_text(json.dumps({"-": {}}))
    named = {
        "model": model,
        "weak-model": model,
        "message-file": home / "message",
        "config": home / "config.yml",
        "model-settings-file": home / "settings.yml",
        "env-file": home / "keys.env",
        "input-history-file": home / "input.history",
        "chat-history-file": home / "chat.history.md",
        "encoding": "utf-8",
        "timeout": f"{deadline_s:g}",
    }
    return [*_QUIET, *(f"--{option}={value}" for option, value in named.items())]


def _settings(model: str, rules: ModelRules) -> dict[str, object]:
    """aider's settings of a model, whatever it knows of it.

    Its own would end some requests with a system message, or with a temperature, which strict providers refuse.
    """
    most = rules.max_output_tokens
    return {
        "name": model,
        "edit_format": "diff",
        "reminder": "",
        "examples_as_sys_msg": True,
        "use_system_prompt": rules.system is not False,
        "use_temperature": False,
        "streaming": False,
        "reasoning_tag": "think",
        "extra_params": {"max_tokens": most} if most else {},
    }


def _name_and_address(model: str, inherited: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The model as aider's own litellm asks it, and the variables for a server whose own ones that litellm reads not.

    It would ask api.openai.com.
    """
    passed = address_and_key(model, inherited)
    if not passed:
        return model, {}
    named = {"OPENAI_API_KEY": passed["api_key"]}
    if "api_base" in passed:
        named |= dict.fromkeys(("OPENAI_API_BASE", "OPENAI_BASE_URL"), passed["api_base"])
    return f"openai/{model.partition('/')[2]}", named


def aider_environment(model: str, inherited: Mapping[str, str], home: Path) -> dict[str, str]:
    """An allow-list, with the key and the address of the model's provider and of no other."""
    own = provider_prefixes(model)
    kept = {name: value for name, value in inherited.items() if _INHERITED.fullmatch(name) or name.startswith(own)}
    return kept | {
        "HOME": str(home),
        "TMPDIR": str(home),
        "USER": "scientist",
        "TERM": "dumb",
        "COLUMNS": "1000",  # aider folds its lines at the width of the terminal
        "BROWSER": "true",  # with --yes-always it opens addresses that errors name
        "PIP_NO_INDEX": "1",  # and installs packages
        "PYTHONNOUSERSITE": "1",
        "PYTHONUTF8": "1",
        "GIT_CEILING_DIRECTORIES": str(home.parent),
        **AIDER.variables,
    }


def _write_files(work: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        target = work / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode("utf-8", "surrogateescape"))


def _read_files(work: Path, request: Request) -> tuple[dict[str, str], list[str]]:
    """Texts of the files that may be changed, and the paths of others that were written."""
    found: dict[str, str] = {}
    strays: list[str] = []
    for path in sorted(p for p in work.rglob("*") if p.is_symlink() or p.is_file()):
        name = path.relative_to(work).as_posix()
        if name in request.view.editable and not path.is_symlink():
            found[name] = path.read_bytes().decode("utf-8", "surrogateescape")
        elif not name.startswith(".aider"):
            strays.append(name)
    return found, strays
