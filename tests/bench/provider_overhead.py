"""What a model call costs on top of the provider's own time.

    python -m tests.bench.provider_overhead [calls]

The same question over loopback: by the client, by litellm alone, and by httpx with a connection kept open or made anew.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

from agent.core.model.messages import Message, normalise, rules_for, to_dicts
from agent.edges.model.client import LiteLLMModel
from agent.edges.model.litellm_table import load_litellm
from agent.edges.model.patience import ProviderPatience
from agent.edges.model.protocol import Request
from tests.provider.cells import VIEW, environment
from tests.provider.server import StrictServer

PROMPT_CHARS = 30_000
LATENCY_S = 0.05


def measure(calls: int, mode: str) -> None:
    import httpx

    messages = (Message("system", "s" * 4000), Message("user", "word " * (PROMPT_CHARS // 5)))
    with StrictServer(mode, ["A reply." * 200], latency_s=LATENCY_S) as server, environment(server.environment()):
        litellm = load_litellm()
        model = LiteLLMModel(server.model, ProviderPatience(60, sleep=time.sleep))
        sent = to_dicts(normalise(messages, rules_for(server.model)))
        client = httpx.Client(timeout=60)

        def alone() -> None:
            litellm.completion(
                model=server.model, messages=sent, timeout=60, num_retries=0, max_retries=0, drop_params=True
            )

        ways: dict[str, Callable[[], object]] = {
            "client": lambda: model.ask(Request(messages, VIEW)),
            "litellm": alone,
        }
        if mode == "deepseek":
            address, headers = f"{server.base_url}/chat/completions", {"Authorization": f"Bearer {server.api_key}"}
            body = {"model": "deepseek-reasoner", "messages": sent}
            ways["httpx, connection kept"] = lambda: client.post(address, json=body, headers=headers).json()
            ways["httpx, anew"] = lambda: httpx.post(address, json=body, headers=headers, timeout=60).json()
        for way in ways.values():
            way()
        overheads: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(calls):
            for name, way in ways.items():
                began = time.perf_counter()
                way()
                overheads[name].append(1e3 * (time.perf_counter() - began - LATENCY_S))
        for name, values in overheads.items():
            nine = statistics.quantiles(values, n=10)[-1]
            print(f"{mode}, {name}: median {statistics.median(values):.1f} ms, nine in ten under {nine:.1f} ms")


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    for mode in ("deepseek", "openai", "anthropic"):
        measure(calls, mode)


if __name__ == "__main__":
    main()
