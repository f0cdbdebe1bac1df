"""aider as an editor: a fake command shows how it is started, ended and read, and the real one shows that it works.

SCIENTIST_AIDER names the real one. If it is not set, those tests are skipped.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.core.edit.apply import apply_reply
from agent.core.failure.diagnose import Failure, FailureKind
from agent.core.journal.budget import Paid
from agent.core.journal.kinds import Role
from agent.core.model.rules import ModelRules
from agent.core.prompt.view import TurnTexts
from agent.edges.model.aider import REQUIREMENTS, AiderModel, aider_environment
from agent.edges.model.protocol import ModelReply, Request
from agent.errors import ProviderRefused, ProviderUnavailable, StopRequested
from tests.fakes import block
from tests.provider.server import StrictServer
from tests.sandboxes import needs_landlock

AIDER = os.environ.get("SCIENTIST_AIDER", "")
real = [
    pytest.mark.aider,
    pytest.mark.skipif(not AIDER, reason="SCIENTIST_AIDER names no aider; scientist setup aider builds one"),
]
FILES = {
    "experiment.py": "import math\r\n\r\nLR = 0.02\r\nprint(math.exp(LR))\r\n",
    "plot.py": "p = 1\n",
    "notes.txt": "# Notes\n",
}
RAISE = block("experiment.py", "LR = 0.02\n", "LR = 0.1\n")


def request(text: str, feedback: str = "", **seen: object) -> Request:
    shown = {"experiment.py": FILES["experiment.py"]}
    said: dict[str, object] = {"code_failure": None, "restored": False, **seen}
    state = SimpleNamespace(run=SimpleNamespace(failure=said.pop("failure", None)))
    texts = TurnTexts(feedback, text)
    view = SimpleNamespace(editable=tuple(FILES), files=shown, state=state, texts=texts, **said)
    return Request((), view, Role.EDITOR, files=FILES)  # type: ignore[arg-type]


def applied(reply: ModelReply) -> dict[str, str]:
    result = apply_reply(FILES, reply.text, editable=tuple(FILES))
    assert not result.rejected, reply.text
    return result.files


@pytest.fixture
def stand_in(tmp_path: Path) -> Callable[..., AiderModel]:
    """A model whose aider is a shell script, started in the folder of the files."""

    def make(script: str, **changes: object) -> AiderModel:
        command = tmp_path / "a place" / "aider"
        command.parent.mkdir(exist_ok=True)
        command.write_text(f"#!/bin/sh\n{script}\n")
        command.chmod(0o755)
        inherited = {"PATH": os.environ["PATH"], "P_API_KEY": "sk-canary", "Q_API_KEY": "other", "SEEN": str(tmp_path)}
        arguments: dict[str, object] = {"patience_s": 0.0, "inherited": inherited}
        return AiderModel("p/m", command, **(arguments | changes))  # type: ignore[arg-type]

    return make


def test_what_aider_changed_comes_back_as_blocks_that_apply(stand_in: Callable[..., AiderModel]) -> None:
    """It writes newlines in place of carriage returns, and the file keeps its own."""
    model = stand_in("sed -i 's/0.02/0.1/; s/\\r//' experiment.py; echo 'Tokens: 1.5k sent, 20 received.'")
    reply = model.ask(request("Raise LR."))
    assert applied(reply) == FILES | {"experiment.py": FILES["experiment.py"].replace("0.02", "0.1")}
    assert (reply.model, reply.paid) == ("aider/p/m", Paid(1500, 20, cost_usd=None, requests=1))


def test_a_server_whose_variables_litellm_does_not_read_is_asked_and_not_openai(
    stand_in: Callable[..., AiderModel],
) -> None:
    inherited = {
        "PATH": os.environ["PATH"],
        "OPENAI_API_KEY": "sk-of-openai",
        "XINFERENCE_API_BASE": "http://box:9997/v1",
    }
    script = """echo "p = '$OPENAI_API_BASE $OPENAI_BASE_URL $OPENAI_API_KEY $*'" > plot.py"""
    model = replace(stand_in(script, inherited=inherited), model="xinference/q")
    written = applied(model.ask(request("Raise LR.")))
    assert written["plot.py"].startswith("p = 'http://box:9997/v1 http://box:9997/v1 none ")
    assert "--model=openai/q --weak-model=openai/q" in written["plot.py"]


def test_files_outside_the_list_are_left_out_and_named(stand_in: Callable[..., AiderModel]) -> None:
    script = "echo q = 2 > plot.py; mkdir d; echo x > d/helper.py; ln -sf /etc/passwd notes.txt; echo x > ../../x.py"
    reply = stand_in(f"{script}; echo 'Applied edit to ../../x.py'").ask(request("Plot."))
    assert applied(reply) == FILES | {"plot.py": "q = 2\n"}
    assert "It also wrote d/helper.py, notes.txt, ../../x.py, which may not be changed" in reply.text


def test_nothing_changed_is_said_with_the_reason(stand_in: Callable[..., AiderModel]) -> None:
    reply = stand_in("echo '# 1 SEARCH/REPLACE block failed to match!'").ask(request("Raise LR."))
    assert reply.text.startswith("aider changed nothing. The model's blocks did not fit the file.")
    assert not apply_reply(FILES, reply.text, editable=tuple(FILES)).changed


def test_lines_that_look_like_markers_are_not_passed_on(stand_in: Callable[..., AiderModel]) -> None:
    reply = stand_in("echo '>>>>>>> REPLACE' >> plot.py").ask(request("Plot."))
    assert "aider changed plot.py into lines that cannot be told from markers" in reply.text
    assert not apply_reply(FILES, reply.text, editable=tuple(FILES)).changed


def test_the_instruction_cannot_be_a_command_and_names_the_files(
    stand_in: Callable[..., AiderModel], tmp_path: Path
) -> None:
    seen = f"'{tmp_path}/seen'"
    model = stand_in(f'cp "$HOME/message" {seen}; printf "%s\\n" "$@" > {seen}.args; env > {seen}.env')
    model.ask(request("!rm -rf ~ and see plot.py"))
    message = (tmp_path / "seen").read_text()
    assert message.startswith("Carry out") and message.endswith("!rm -rf ~ and see plot.py")
    arguments = (tmp_path / "seen.args").read_text().split("\n")
    assert {"--no-git", "--no-check-update", "--no-analytics", "--no-suggest-shell-commands"} <= set(arguments)
    assert arguments[arguments.index("--") + 1 :] == ["experiment.py", "plot.py", ""]
    environment = dict(line.split("=", 1) for line in (tmp_path / "seen.env").read_text().splitlines() if "=" in line)
    assert environment["P_API_KEY"] == "sk-canary" and "Q_API_KEY" not in environment and "SEEN" not in environment
    assert not Path(environment["HOME"]).exists(), "the folder of one call was left behind"
    model.ask(request("Raise LR.", feedback="experiment.py does not parse"))
    assert (tmp_path / "seen").read_text().endswith("was refused:\nexperiment.py does not parse")


def test_the_failure_that_it_is_to_mend_is_told_as_to_our_own_editor(
    stand_in: Callable[..., AiderModel], tmp_path: Path
) -> None:
    model = stand_in(f"cp \"$HOME/message\" '{tmp_path}/seen'")
    crash = Failure(FailureKind.EXCEPTION, "NameError: no lr", "line 3, in train", None, "")
    misfit = Failure(FailureKind.EDIT, "no such lines", "experiment.py", None, "")
    model.ask(request("Mend it.", failure=crash))
    assert (
        (tmp_path / "seen")
        .read_text()
        .endswith("Mend it.\n\nThe failure that it is to mend: NameError: no lr\nline 3, in train")
    )
    for seen in ({"failure": misfit}, {"failure": crash, "restored": True}):
        model.ask(request("Mend it.", **seen))
        assert (tmp_path / "seen").read_text().endswith("Mend it.")
    model.ask(request("Mend it.", failure=misfit, code_failure=crash, feedback="no such lines"))
    message = (tmp_path / "seen").read_text()
    assert "NameError: no lr" in message and message.endswith("was refused:\nno such lines")


def test_a_hang_ends_at_the_deadline_with_all_that_it_started(
    stand_in: Callable[..., AiderModel], tmp_path: Path
) -> None:
    model = stand_in(f"(sleep 60; echo late) & echo $! > '{tmp_path}/child'; sleep 60", deadline_s=0.3)
    started = time.monotonic()
    with pytest.raises(ProviderUnavailable, match=r"did not end within 0\.3 s and was killed"):
        model.ask(request("Raise LR."))
    assert time.monotonic() - started < 5
    child = int((tmp_path / "child").read_text())
    status = Path(f"/proc/{child}/stat")
    assert not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_request_to_stop_ends_it(stand_in: Callable[..., AiderModel]) -> None:
    with pytest.raises(StopRequested):
        stand_in("sleep 60", is_stopped=lambda: True).ask(request("Raise LR."))


def test_a_provider_that_is_down_is_asked_again_while_patience_lasts(
    stand_in: Callable[..., AiderModel], tmp_path: Path
) -> None:
    tried = f"'{tmp_path}/tried'"
    down = "echo 'litellm.InternalServerError: InternalServerError: DeepseekException - Connection error.'"
    script = f"if test -e {tried}; then sed -i s/0.02/0.1/ experiment.py; else touch {tried}; {down}; fi"
    assert "LR = 0.1" in stand_in(script, patience_s=60.0).ask(request("Raise LR.")).text
    (tmp_path / "tried").unlink()
    with pytest.raises(ProviderUnavailable, match="Connection error"):
        stand_in(script).ask(request("Raise LR."))


def test_an_aider_that_somebody_kills_is_asked_again_and_its_half_edit_is_no_reply(
    stand_in: Callable[..., AiderModel], tmp_path: Path
) -> None:
    script = f"echo x >> '{tmp_path}/tries'; sed -i s/0.02/0.1/ experiment.py; [ $(wc -l < '{tmp_path}/tries') -gt 1 ] "
    half = script + "|| kill -9 $$; sed -i s/math/cmath/ experiment.py"
    assert "cmath" in stand_in(half, patience_s=60.0).ask(request("Raise LR.")).text
    (tmp_path / "tries").unlink()
    with pytest.raises(ProviderUnavailable, match="was killed by SIGKILL"):
        stand_in(half).ask(request("Raise LR."))


def test_an_aider_that_cannot_start_or_fails_is_refused(stand_in: Callable[..., AiderModel]) -> None:
    with pytest.raises(ProviderRefused, match="ended with exit code 3: unrecognized arguments"):
        stand_in("echo unrecognized arguments; exit 3").ask(request("Raise LR."))
    model = stand_in("")
    model.executable.unlink()
    with pytest.raises(ProviderRefused, match=r"cannot be run: .*; build it again: scientist setup aider"):
        model.ask(request("Raise LR."))


def test_its_environment_is_built_where_no_module_can_be_taken_for_aider() -> None:
    """Python looks first in the folder in which it is started, so that it would import a module aider.py there."""
    assert [path.name for path in REQUIREMENTS.parent.iterdir()] == ["requirements.txt"]
    assert "aider-chat==0.86.2" in REQUIREMENTS.read_text().splitlines()


def test_only_the_key_of_the_models_own_provider_passes(tmp_path: Path) -> None:
    inherited = {
        "GEMINI_API_KEY": "g", "OPENAI_API_KEY": "o", "AWS_PROFILE": "a", "DEEPSEEK_API_BASE": "d", "LANG": "C",
        "LD_PRELOAD": "x", "AIDER_MODEL": "m", "DISPLAY": ":0",
    }  # fmt: skip
    kept = {m: aider_environment(m, inherited, tmp_path).keys() & inherited for m in ("gemini/x", "bedrock/x")}
    assert kept == {"gemini/x": {"GEMINI_API_KEY", "LANG"}, "bedrock/x": {"AWS_PROFILE", "LANG"}}


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., ModelReply]:
    """Ask the real aider, pointed at a strict server."""

    def send(server: StrictServer, text: str = "Raise LR to 0.1.", **changes: object) -> ModelReply:
        inherited = {**os.environ, **server.environment(), "HOME": str(tmp_path)}
        arguments: dict[str, object] = {"patience_s": 0.0, "inherited": inherited, "deadline_s": 100.0}
        model = AiderModel(server.model, Path(AIDER), **(arguments | changes))  # type: ignore[arg-type]
        return model.ask(request(text))

    return send


class TestReal:
    pytestmark = real

    @pytest.mark.parametrize("mode", ["deepseek", "perplexity", "mistral", "anthropic", "openai-o", "vllm-gemma2"])
    def test_an_edit_is_made_whatever_the_provider_demands_of_the_messages(
        self, mode: str, ask: Callable[..., ModelReply]
    ) -> None:
        rules = ModelRules(system=False) if mode in ("vllm-gemma2", "openai-o") else ModelRules()
        with StrictServer(mode, [f"I raise it.\n\n{RAISE}"]) as server:
            reply = ask(server, rules=rules)
            assert server.statuses() == [200]
        assert applied(reply)["experiment.py"] == FILES["experiment.py"].replace("0.02", "0.1")
        assert reply.paid.tokens_in > 100 and reply.paid.tokens_out > 0

    def test_a_block_that_does_not_fit_is_asked_for_again_by_aider_itself(self, ask: Callable[..., ModelReply]) -> None:
        misfit = block("experiment.py", "LEARNING_RATE = 7\n", "LEARNING_RATE = 8\n")
        with StrictServer("deepseek", [misfit, RAISE]) as server:
            assert "LR = 0.1" in applied(ask(server))["experiment.py"]
            assert server.statuses() == [200, 200]

    @needs_landlock
    def test_a_path_elsewhere_is_not_written(self, ask: Callable[..., ModelReply], tmp_path: Path) -> None:
        victim = tmp_path / "victim.py"
        victim.write_text("mine = 1\n")
        elsewhere = block(str(victim), "mine = 1\n", "mine = 2\n") + block(str(tmp_path / "new.py"), "", "new = 1\n")
        with StrictServer("deepseek", [elsewhere + RAISE, RAISE, RAISE, RAISE]) as server:
            with contextlib.suppress(ProviderRefused):
                ask(server)
            assert server.statuses()
        assert victim.read_text() == "mine = 1\n" and not (tmp_path / "new.py").exists()

    def test_blocks_inside_reasoning_are_not_applied(self, ask: Callable[..., ModelReply]) -> None:
        with StrictServer("deepseek", [f"<think>\nPerhaps:\n{RAISE}</think>\nNo change is needed."]) as server:
            assert ask(server).text.startswith("aider changed nothing.")

    @pytest.mark.parametrize(
        ("fault", "problem"), [("key_401", "(?i)auth"), ("balance_402", "(?i)balance"), ("unknown_404", "(?i)model")]
    )
    def test_what_no_wait_mends_is_refused(self, fault: str, problem: str, ask: Callable[..., ModelReply]) -> None:
        with StrictServer("deepseek", [RAISE], [fault] * 20) as server, pytest.raises(ProviderRefused, match=problem):
            ask(server)

    def test_a_hang_ends_at_the_deadline(self, ask: Callable[..., ModelReply]) -> None:
        with (
            StrictServer("deepseek", [RAISE], ["hang"]) as server,
            pytest.raises(ProviderUnavailable, match="did not end within 15 s"),
        ):
            ask(server, deadline_s=15.0)
