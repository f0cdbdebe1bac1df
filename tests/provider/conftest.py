from __future__ import annotations

from typing import Any

import pytest

from agent.edges.model.litellm_table import load_litellm
from tests.provider.asking import Complete, Message
from tests.provider.server import StrictServer


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch) -> Complete:
    """One call as the client makes it. litellm and the SDK behind it are told to retry nothing."""
    litellm = load_litellm()  # two seconds that tests without it need not wait
    monkeypatch.setattr(litellm, "suppress_debug_info", True)

    def call(server: StrictServer, messages: list[Message], *, timeout_s: float = 5.0, **more: Any) -> Any:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        asked = {"model": server.model, "messages": [dict(message) for message in messages], "drop_params": True}
        return litellm.completion(**asked | {"num_retries": 0, "max_retries": 0, "timeout": timeout_s} | more)

    return call
