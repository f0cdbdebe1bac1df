"""A server of one's own, looked at before any prompt: whether it is there, and how long its window is."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agent.core.model.answer.server_words import ServerWords, read_server
from agent.core.model.destinations import proxy_variable
from agent.core.model.own_servers import Place, ServerFacts, other_bases, place_of, shown_address
from agent.core.model.variables import key_variable
from agent.core.text.plain import plain_line
from agent.errors import UsageError

if TYPE_CHECKING:
    import httpx  # it takes a while

__all__ = ["Sight", "check_server", "look_at"]

TOLD_CHARS = 200
CONNECT_S = 3.0
LOOK_S = 6.0  # for all of an answer
MOST_BYTES = 4_000_000
OLLAMA = ("ollama", "ollama_chat")


@dataclass(frozen=True, slots=True)
class Sight:
    """A server as it was found. `problem` is what keeps every request from it, "" if it may answer."""

    facts: ServerFacts = field(default_factory=ServerFacts)
    problem: str = ""
    remedy: str = ""
    # Whether it said anything at all.
    is_there: bool = False


def look_at(place: Place, name: str, environment: Mapping[str, str]) -> Sight:
    """Ask a server for its models and their windows, with GET requests and Ollama's /api/show. No prompt is sent.

    name: the model's name, with its provider.
    """
    provider, _, model = name.partition("/")
    asker = _Questions(place.address.rstrip("/"), environment.get(key_variable(name), ""))
    status, models = asker.get(f"{asker.base}/api/tags" if provider in OLLAMA else f"{asker.base}/models")
    if status == 0 and asker.base.lower().startswith("https:"):
        plain = f"http:{asker.base.partition(':')[2]}"
        if _Questions(plain, "").get(plain + "/models")[0]:  # without the key: the line is open
            remedy = f"export {place.variable}={shown_address(plain)}"
            return Sight(problem="the server does not speak https", remedy=remedy, is_there=True)
    if status == 0:
        is_known = bool(asker.error) and not proxy_variable(place.address, environment)
        return Sight(problem=asker.error, remedy=_start(place)) if is_known else Sight()
    if status == 404 and provider not in OLLAMA:
        for other in other_bases(asker.base):
            if read_server(model, ServerWords(asker.get(other + "/models")[1])).models:
                problem = "the server answers at another path"
                return Sight(problem=problem, remedy=f"export {place.variable}={shown_address(other)}", is_there=True)
    words = _ask_on(asker, models, model, is_ollama=provider in OLLAMA)
    facts = read_server(model, words)
    missing = _find_missing(facts, words, model)
    return Sight(facts, *missing, is_there=True)


def _find_missing(facts: ServerFacts, words: ServerWords, model: str) -> tuple[str, str]:
    """Problem and remedy if the server answers for the models of its list alone, and this one is not among them."""
    is_ollama = bool(words.tags) and not words.show
    if model in facts.models or not (is_ollama or '"vllm"' in words.models):
        return "", ""
    has = f"name one that it has: {plain_line(', '.join(facts.models), TOLD_CHARS)}"
    remedy = f"ollama pull {plain_line(model, TOLD_CHARS)}" if is_ollama else ""
    return f"it has no model {plain_line(model, TOLD_CHARS)}", ", or ".join(filter(None, (remedy, has)))


def check_server(name: str, environment: Mapping[str, str], option: str) -> None:
    """Check that a model's server is there, if it is one of one's own.

    Raises: UsageError if nobody is at its address, or only at another path.
    """
    place = place_of(name.partition("/")[0], environment)
    sight = look_at(place, name, environment) if place else Sight()
    if place and sight.problem:
        where = str(place) if place.is_named else f"{option} {name}"
        raise UsageError(where, sight.problem, sight.remedy)


def _ask_on(asker: _Questions, models: str, model: str, *, is_ollama: bool) -> ServerWords:
    """The answers of the server's own interface, as far as the first one says whose server it is."""
    parts = urlsplit(asker.base)
    root = asker.base if is_ollama else f"{parts.scheme}://{parts.netloc}"
    if is_ollama or '"library"' in models:
        tags = models if is_ollama else asker.get(f"{root}/api/tags")[1]
        shown = asker.get(f"{root}/api/show", {"model": model})[1]
        return ServerWords(show=shown, loaded=asker.get(f"{root}/api/ps")[1], tags=tags)
    if '"llamacpp"' in models:  # its list names the window of all requests at once
        return ServerWords(models, props=asker.get(f"{root}/props")[1])
    if read_server(model, ServerWords(models)).window_tokens:
        return ServerWords(models)
    return ServerWords(models, studio=asker.get(f"{root}/api/v0/models")[1])


def _start(place: Place) -> str:
    return f"start the server, or {'correct' if place.is_named else 'export'} {place.variable}"


@dataclass(slots=True)
class _Questions:
    """Small questions to one server."""

    base: str
    key: str = field(repr=False)
    # Why the last question found nobody, "" if that may pass.
    error: str = ""

    def get(self, url: str, body: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Status and body, 0 and "" if there is none. With a body it is a POST."""
        import httpx

        self.error = ""
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        method = "GET" if body is None else "POST"
        is_secret = url.lower().startswith("https:")  # certificates take a while to load
        try:
            with (
                httpx.Client(timeout=httpx.Timeout(LOOK_S, connect=CONNECT_S), verify=is_secret) as client,
                client.stream(method, url, headers=headers, json=body) as answer,
            ):
                text = _read(answer)
                return answer.status_code, text if answer.is_success else ""
        except httpx.HTTPError as error:
            self.error = next((said for link in _chain(error) if (said := _say(link, url))), "")
        except (httpx.InvalidURL, ValueError, OSError):  # a key or proxy that httpx refuses: told where it is checked
            self.error = ""
        return 0, ""


def _read(answer: httpx.Response) -> str:
    """The body, "" if it is too long or takes too long."""
    parts, size, end = [], 0, time.monotonic() + LOOK_S
    for part in answer.iter_bytes():
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES or time.monotonic() > end:
            return ""
    return b"".join(parts).decode("utf-8", "replace")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(10):
        if error is not None:
            yield error
            error = error.__cause__ or error.__context__


def _say(error: BaseException, url: str) -> str:
    """What no wait will mend, "" for any other error."""
    if isinstance(error, ConnectionRefusedError):
        return f"nothing listens at {urlsplit(url).netloc.rpartition('@')[2]}"
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME:
        return f"there is no host {urlsplit(url).hostname}"
    return ""
