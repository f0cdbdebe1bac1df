"""Sixteen ideas at once under a tokens-per-minute limit: what is lost, refused, and left unused.

    python -m tests.bench.provider_limits [--scale 0.1] [--minutes 4] [--mode openai ...] [--told]

A server with a real bucket of 40,000 tokens a minute answers; its minute and the client's are both `scale` long.
"""

from __future__ import annotations

import argparse
import random
import threading
import time
from dataclasses import dataclass

from agent.core.model.messages import Message
from agent.core.model.rules import ModelRules, RuleTable
from agent.edges.model.client import LiteLLMModel
from agent.edges.model.litellm_table import load_litellm
from agent.edges.model.patience import ProviderPatience
from agent.edges.model.protocol import Request
from agent.edges.model.throttle import Throttle
from agent.errors import ProviderError
from tests.provider.cells import VIEW, environment
from tests.provider.server import Reply, StrictServer

IDEAS = 16
LIMIT = 40_000
PROMPT_TOKENS = (2_000, 9_000)
REPLY_TOKENS = (200, 1_500)


@dataclass(frozen=True)
class Figures:
    """What one trial showed; shares are of 1. `lost` counts questions that got no reply."""

    asked: int
    lost: int
    requests: int
    refused_share: float
    used_share: float
    slowest_idea: int
    quickest_idea: int

    def __str__(self) -> str:
        return (
            f"asked {self.asked}, lost {self.lost}, requests {self.requests}, 429 {self.refused_share:.1%}, "
            f"allowed tokens used {self.used_share:.1%}, replies an idea {self.slowest_idea} to {self.quickest_idea}"
        )


def measure(
    mode: str, scale: float, minutes: float, *, kind: str = "bucket", told: bool = False, seed: int = 0
) -> Figures:
    """Sixteen threads ask without pause for `minutes` of the server's clock, then stop asking."""
    speak = random.Random(seed)

    def say(messages: object) -> Reply:
        return Reply("x" * (4 * speak.randint(*REPLY_TOKENS)))

    with environment({}):
        load_litellm()

    throttle = Throttle(window_s=60.0 * scale)
    table = RuleTable((("", ModelRules(tokens_per_minute=LIMIT)),) if told else ())

    def jitter() -> float:
        return random.random() * scale

    answered, lost = [0] * IDEAS, [0] * IDEAS
    with (
        StrictServer(mode, say, tokens_per_minute=LIMIT, scale=scale, kind=kind, latency_s=2.0 * scale) as server,  # type: ignore[arg-type]
        environment(server.environment()),
    ):
        began = time.monotonic()
        ends = began + 60.0 * minutes * scale

        def idea(number: int) -> None:
            draw = random.Random(seed * 1000 + number)
            model = LiteLLMModel(
                server.model, ProviderPatience(3600, sleep=time.sleep, jitter=jitter), throttle=throttle, table=table
            )
            while time.monotonic() < ends:
                text = "word " * (draw.randint(*PROMPT_TOKENS) * 4 // 5)
                try:
                    model.ask(Request((Message("system", "Be brief."), Message("user", text)), VIEW))
                    answered[number] += 1
                except ProviderError as error:
                    lost[number] += 1
                    print(f"lost: {error}")

        threads = [threading.Thread(target=idea, args=(number,)) for number in range(IDEAS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took_minutes = (time.monotonic() - began) / 60 / scale
        assert server.limit is not None
        allowed = LIMIT * ((1 if kind == "bucket" else 0) + took_minutes)
        statuses = server.statuses()
        return Figures(
            asked=sum(answered) + sum(lost),
            lost=sum(lost),
            requests=len(statuses),
            refused_share=statuses.count(429) / len(statuses),
            used_share=server.limit.spent / allowed,
            slowest_idea=min(answered),
            quickest_idea=max(answered),
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--mode", nargs="*", default=["openai", "anthropic", "mistral", "deepseek"])
    parser.add_argument("--kind", default="bucket")
    parser.add_argument("--told", action="store_true", help="the limit stands in the settings")
    arguments = parser.parse_args()
    for mode in arguments.mode:
        print(
            f"{mode}: {measure(mode, arguments.scale, arguments.minutes, kind=arguments.kind, told=arguments.told)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
