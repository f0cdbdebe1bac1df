"""One mode and one fault through the real litellm: the end of the question, and the number of requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from unittest import mock

from agent.core.inputs.idea import Idea
from agent.core.inputs.spec import TemplateSpec
from agent.core.journal.budget import Limits
from agent.core.journal.events import Launched
from agent.core.journal.fold import begin
from agent.core.journal.kinds import Purpose
from agent.core.model.messages import Message
from agent.core.model.rules import ModelRules, RuleTable
from agent.core.prompt.view import TurnView
from agent.core.text.redact import Redactor
from agent.edges.model.client import LiteLLMModel
from agent.edges.model.patience import ProviderPatience
from agent.edges.model.protocol import Request
from agent.errors import ProviderRefused, ProviderUnavailable
from tests.fakes import FakeClock
from tests.provider.server import FAULTS, MODES, StrictServer

PATIENCE_S = 3600.0
HANG_S = 0.15

VIEW = TurnView(
    Purpose.PLAN,
    begin(Launched(workspace="w", limits=Limits(max_runs=3), has_baseline=True)),
    TemplateSpec(name="t"),
    Idea(Title="T", Experiment="E"),
)
# As a careless caller would send it: two users, an empty reply, a late system message, an assistant that comes last.
MESSAGES = (
    Message("system", "Rules: é \U0001f600."),
    Message("assistant", "An early word."),
    Message("user", "Task."),
    Message("user", "It crashed."),
    Message("assistant", " "),
    Message("system", "A later rule."),
    Message("user", "What next?\r\n"),
    Message("assistant", "A plan. "),
)
REPLY = "PLAN:\n1. é \U0001f600\n2. more\n"


@dataclass(frozen=True)
class Outcome:
    """End of one question: `said` is the reply, or `pause` the reason of a pause, and the other one is empty."""

    said: str
    pause: str
    refused: bool
    requests: int
    waited_s: float

    @property
    def word(self) -> str:
        return "completed" if self.said else "paused, refused" if self.refused else "paused, patience spent"


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Variables that litellm reads, for a while."""
    with mock.patch.dict("os.environ", dict(variables)):
        yield


def play(mode: str, fault: str, *, times: int, patience_s: float = PATIENCE_S) -> Outcome:
    """Ask once while the first `times` requests meet the fault."""
    clock = FakeClock()
    with StrictServer(mode, [REPLY], [fault] * times) as server, environment(server.environment()):
        hang = ModelRules(timeout_s=HANG_S if fault == "hang" else 20.0)
        model = LiteLLMModel(
            server.model,
            ProviderPatience(patience_s, sleep=clock.sleep, clock=clock, jitter=lambda: 0.5),
            table=RuleTable(((server.model, hang),)),
            redact=Redactor({server.api_key: "K"}),
        )
        began, said, pause, refused = clock(), "", "", False
        try:
            said = model.ask(Request(MESSAGES, VIEW)).text
        except (ProviderRefused, ProviderUnavailable) as error:
            pause, refused = str(error), isinstance(error, ProviderRefused)
        return Outcome(said, pause, refused, len(server.requests), clock() - began)


ALL = [(mode, fault) for mode in MODES for fault in FAULTS]
