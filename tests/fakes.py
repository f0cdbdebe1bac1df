"""Stand-ins at the Protocols. Each is as simple as it can be and still tell the truth about what it stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from agent.core.failure.record import ExitRecord
from agent.core.journal.budget import Paid
from agent.edges.model.protocol import ModelReply, Request
from agent.edges.run.runner import Exited, StepStatus, Unclaimed
from agent.edges.run.step_folder import StepSpec
from agent.errors import ProviderError

Line = str | ProviderError | Callable[[Request], str]


@dataclass
class ScriptedModel:
    """Says its lines in order and keeps every request; asked for more, it fails the test."""

    lines: Iterable[Line]
    name: str = "scripted/model"
    requests: list[Request] = field(default_factory=list)

    window_tokens, takes_files = None, False

    def __post_init__(self) -> None:
        self._rest: Iterator[Line] = iter(self.lines)

    def ask(self, request: Request) -> ModelReply:
        self.requests.append(request)
        line = next(self._rest, None)
        assert line is not None, f"asked once more than scripted, for: {request.messages[-1].content[-2000:]}"
        if isinstance(line, ProviderError):
            raise line
        text = line if isinstance(line, str) else line(request)
        return ModelReply(text, self.name, Paid(100, 10, cost_usd=0.001, requests=1))


@dataclass
class FakeClock:
    """Seconds since the epoch that pass only when told to."""

    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def block(path: str, search: str, replace: str) -> str:
    """A SEARCH/REPLACE block as models write them."""
    return f"{path}\n```python\n<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n```\n"


@dataclass
class InstantRunner:
    """Ends every step as it starts: `act(folder, spec)` leaves what an experiment would have left."""

    act: Callable[[Path, StepSpec], None]
    record: ExitRecord = field(default_factory=lambda: ExitRecord(0, None, False, False, 60.0, 0.01, 0.1))
    started: list[Path] = field(default_factory=list)

    def start(self, folder: Path, spec: StepSpec) -> None:
        self.started.append(folder)
        (folder / "log.txt").write_text("")
        self.act(folder, spec)

    def poll(self, folder: Path) -> StepStatus:
        return Exited(self.record) if folder in self.started else Unclaimed()

    def take_claim(self, folder: Path) -> bool:
        return folder not in self.started

    def kill(self, folder: Path) -> None:
        """Nothing is left to kill."""

    def read_streams(self, folder: Path, limit_bytes: int) -> tuple[str, str]:
        return "", ""
