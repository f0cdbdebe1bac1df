"""What a launch asks of a model's name before anything is sent."""

from __future__ import annotations

import pytest

from agent.edges.model.protocol import check_model
from agent.errors import UsageError
from tests.provider.server import serve

CANARY = "sk-canary-0123456789abcdef"
MODEL = "deepseek/deepseek-chat"


def test_a_model_is_checked_for_its_provider_and_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve() as provider:
        monkeypatch.setenv("DEEPSEEK_API_BASE", provider.url)
        check_model(MODEL, {"DEEPSEEK_API_KEY": CANARY})
        with pytest.raises(UsageError, match=r"--fallback-model no-such-provider/model: .*knows no such provider"):
            check_model("no-such-provider/model", {}, "--fallback-model")
        assert provider.received == []


def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEEPSEEK_API_KEY", raising=False)
    with pytest.raises(UsageError, match="DEEPSEEK_API_KEY not set"):
        check_model(MODEL, {})
