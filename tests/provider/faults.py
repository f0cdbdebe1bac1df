"""Faults that a test scripts. Each mode words them as its provider does."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from tests.provider.odd_replies import ODD_REPLIES
from tests.provider.wire import Headers, Response

__all__ = ["ALL_FAULTS", "FAULTS", "Act", "Fault"]


class Act(Enum):
    """Effect of a fault on the connection or the reply. REFUSE answers with an error in the provider's words."""

    REFUSE = "refuse"
    SEND = "send"
    RESET = "reset"
    HANG = "hang"
    CUT = "cut"
    BLANK = "blank"
    LENGTH = "length"
    ODD = "odd"


@dataclass(frozen=True)
class Fault:
    """A fault that one request gets instead of a reply.

    `response` is sent as it is (SEND). `retry_after_s` goes out as Retry-After, or as Gemini's RetryInfo.
    `hang_s`: seconds for which a HANG holds the connection before it is closed without an answer.
    """

    name: str
    act: Act = Act.REFUSE
    response: Response | None = None
    retry_after_s: float | None = None
    hang_s: float = 600.0


HTML: Headers = (("Content-Type", "text/html"),)
MAINTENANCE = b"<!DOCTYPE html><html><head><title>Maintenance</title></head><body><h1>Back soon</h1></body></html>"
BAD_GATEWAY = b"<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>"

FAULTS = MappingProxyType(
    {
        fault.name: fault
        for fault in (
            Fault("rate_limit"),
            Fault("rate_limit_retry_after", retry_after_s=2.0),
            Fault("tpm_limit"),
            Fault("daily_limit"),
            Fault("server_500"),
            Fault("bad_gateway_502", Act.SEND, Response(502, BAD_GATEWAY, HTML)),
            Fault("overloaded_529"),
            Fault("reset", Act.RESET),
            Fault("hang", Act.HANG),
            Fault("empty_body", Act.SEND, Response(200, b"")),
            Fault("html", Act.SEND, Response(200, MAINTENANCE, HTML)),
            Fault("empty_choices", Act.BLANK),
            Fault("cut_stream", Act.CUT),
            Fault("finish_length", Act.LENGTH),
            Fault("context_length"),
            Fault("content_policy"),
            Fault("insufficient_quota"),
            Fault("key_401"),
            Fault("balance_402"),
            Fault("forbidden_403"),
            Fault("unknown_404"),
            Fault("unknown_parameter"),
        )
    }
)
# Those of litellm's errors, and replies that came and are odd.
ALL_FAULTS = MappingProxyType({**FAULTS, **{name: Fault(name, Act.ODD) for name in ODD_REPLIES}})
