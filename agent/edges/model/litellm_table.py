"""litellm, loaded: its table of models, with their providers, keys, windows and prices."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agent.core.journal.budget import Price
from agent.core.model.answer.usage import read_count
from agent.core.model.destinations import OPENAI, say_unread, unread_address
from agent.core.model.faults import printable
from agent.core.model.local_fault import wrong_variables
from agent.core.model.own_servers import EXAMPLES, needs_address, place_of
from agent.core.model.rules import RuleTable
from agent.core.model.variables import address_variable
from agent.core.text.redact import names_a_secret
from agent.edges.model.wire.traffic import wrap_httpx
from agent.edges.system.large_imports import import_large
from agent.edges.system.library_warnings import ignore_library_warnings
from agent.errors import UsageError, in_one_line

__all__ = ["check_model", "full_name", "known_window", "load_litellm", "price_of"]

# Variables that litellm reads. Without them it fetches prices, header names and other tables from its project's site.
WITHOUT_REQUESTS = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_OFFLINE_MODE": "True",
}

TOLD_CHARS = 200
LOGGERS = ("LiteLLM", "LiteLLM Proxy", "LiteLLM Router")
# Providers that may find their rights elsewhere (profile, role), and those that need none.
KEYLESS = frozenset({"bedrock", "bedrock_converse", "sagemaker", "sagemaker_chat", "ollama", "ollama_chat"})
# Keys that litellm reads by a second name, which its own check does not know.
OTHER_NAMES = {"HUGGINGFACE_API_KEY": "HF_TOKEN"}
# Names that people give to servers, with the provider by which litellm asks them.
SERVERS = dict.fromkeys(
    ("llamacpp", "llamaserver", "vllm", "sglang", "tgi", "koboldcpp", "localai", "jan", "mlx", "local", "openailike"),
    "hosted_vllm",
) | {"lmstudio": "lm_studio"}
# How providers in a region of Amazon's begin, which litellm would choose by itself.
IN_REGION = ("bedrock", "sagemaker")
REGION_VARIABLES = ("AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION", "BEDROCK_MANTLE_REGION")
ADDRESS_VARIABLES = ("AWS_BEDROCK_RUNTIME_ENDPOINT", "BEDROCK_MANTLE_API_BASE")
# "bedrock/us-east-1/anthropic.claude", "arn:aws:bedrock:us-gov-west-1:123:model"
REGION = re.compile(r"(?<=[/:])[a-z]{2,4}(?:-[a-z]{2,12}){1,2}-\d(?=[/:])")


def load_litellm() -> Any:
    """Import litellm, which takes seconds: only when it is first used, and without any request of its own."""
    for name, value in WITHOUT_REQUESTS.items():
        os.environ.setdefault(name, value)
    ignore_library_warnings()
    litellm: Any = import_large("litellm")
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # they write tracebacks to the terminal
    wrap_httpx()
    return litellm


def full_name(name: str) -> str:
    """The name with its provider in front: of gpt-4o openai/gpt-4o. A name of no known provider stays as it is."""
    litellm = load_litellm()
    try:
        model, provider, *_ = litellm.get_llm_provider(name)
    except litellm.exceptions.BadRequestError:
        return name
    return f"{provider}/{model}"


def known_window(name: str) -> int | None:
    """The window of a model by litellm's table, or None if the table does not have it."""
    if name.startswith("ollama"):  # litellm would ask the server, which may be down
        return None
    litellm = load_litellm()
    try:
        known = litellm.get_model_info(name).get("max_input_tokens")
    except litellm.exceptions.ModelNotMappedError:
        return None
    return read_count(known) or None


def check_model(name: str, environment: Mapping[str, str], option: str = "--model") -> None:
    """Check the name that was given as `option`.

    Raises: UsageError if litellm knows no such provider, or the provider's key is not set.
    """
    _check_certificates(environment)
    litellm = load_litellm()
    try:
        model, provider, key, address = litellm.get_llm_provider(name)
    except litellm.exceptions.BadRequestError as error:
        shown = f"{option} {printable(in_one_line(name))[:TOLD_CHARS]}"
        if remedy := _say_server(name):
            raise UsageError(shown, "litellm knows no such provider", remedy) from error
        if name.partition("/")[0] in _providers(litellm):
            words = " ".join(str(error).partition(" - ")[2].split())
            raise UsageError(shown, f"litellm cannot use it: {printable(words)[:TOLD_CHARS]}") from error
        example = "write provider/model, for example deepseek/deepseek-reasoner, or offline/sweep"
        raise UsageError(shown, "litellm knows no such provider", _nearest(litellm, name) or example) from error
    if provider == "openai_like" or (provider == "vllm" and not importlib.util.find_spec("vllm")):
        raise UsageError(f"{option} {name}", "litellm asks no server by this name", _say_server(name))
    _check_keys(name, provider, environment, option, has_key=bool(key) and key in environment.values())
    if address and (unread := unread_address(provider, urlsplit(address).hostname or "", environment)):
        raise UsageError(f"{unread}={environment[unread]}", f"litellm does not read it for {name}", say_unread(unread))
    if not key and address:
        _check_own_key(name, provider, environment, option)
    if provider.startswith(IN_REGION):
        _check_region(name, environment, option)
    has_socks = importlib.util.find_spec("socksio") is not None
    exists = os.path.exists
    for wrong in wrong_variables(f"{provider}/{model}", environment, has_socks=has_socks, exists=exists):
        raise UsageError(wrong.where, wrong.problem, wrong.remedy)


def _providers(litellm: Any) -> set[str]:
    return {str(getattr(provider, "value", provider)) for provider in litellm.provider_list}


def _say_server(name: str) -> str:
    """How a model of a server is named, if the name begins with that server's, else ""."""
    server, _, model = name.strip().partition("/")
    provider = SERVERS.get(re.sub(r"[^a-z]", "", server.lower()), "")
    if not provider or not model:
        return ""
    variable = address_variable(f"{provider}/")
    return f"write {printable(f'{provider}/{model}')[:TOLD_CHARS]}, and export {variable}={EXAMPLES[provider]}"


def _nearest(litellm: Any, name: str) -> str:
    """The names that may be meant: with the provider in front, in small letters, or divided by a slash."""
    provider, _, model = name.strip().partition("/" if "/" in name else ":")
    if model and provider.lower() in _providers(litellm):
        return f"write {printable(f'{provider.lower()}/{model}')[:TOLD_CHARS]}"
    plain = name.strip().lower()
    if plain != name and plain in litellm.model_cost:
        return f"write {plain}"
    known = [known for known in litellm.model_cost if known.endswith(f"/{name}")] if "/" not in name else []
    return f"write {' or '.join(sorted(known, key=len)[:2])}" if known else ""


def _check_certificates(environment: Mapping[str, str]) -> None:
    """Raises: UsageError if the file of certificates holds none. litellm could not even be loaded."""
    path = environment.get("SSL_CERT_FILE", "").strip()
    try:
        if path and Path(path).exists():
            ssl.create_default_context(cafile=path)
    except OSError as error:
        problem = f"holds no certificates: {getattr(error, 'reason', None) or error.strerror}"
        raise UsageError(f"SSL_CERT_FILE={path}", problem, "correct it, or unset it") from error


def _check_keys(name: str, provider: str, environment: Mapping[str, str], option: str, *, has_key: bool) -> None:
    """Check what the provider needs. has_key: litellm found its key, perhaps by a name that its own check lacks.

    Raises: UsageError if the key, or the address of a server of one's own, is not set.
    """
    if address := needs_address(provider, environment):
        raise UsageError(f"{option} {name}", f"{address} not set", f"export it, as {address}={EXAMPLES[provider]}")
    if has_key or provider in KEYLESS or (provider == "openai" and place_of(provider, environment)):
        return
    checked = load_litellm().validate_environment(name)
    missing = [
        key
        for key in checked.get("missing_keys", [])
        if not environment.get(key) and not environment.get(OTHER_NAMES.get(key, key))
    ]
    if missing and not checked.get("keys_in_environment"):
        raise UsageError(f"{option} {name}", f"{' and '.join(missing)} not set", "export the key or put it into .env")


def _check_own_key(name: str, provider: str, environment: Mapping[str, str], option: str) -> None:
    """Check the key of a provider that is asked through OpenAI's client, which would take OpenAI's instead.

    Raises: UsageError if no variable may hold it.
    """
    litellm = load_litellm()
    listed = importlib.import_module("litellm.llms.openai_like.json_loader").JSONProviderRegistry.get(provider)
    if provider in OPENAI or not (listed or provider in litellm.openai_compatible_providers):
        return
    word = re.split(r"[-_]", provider)[0].upper()
    if any(variable.startswith(word) and names_a_secret(variable) for variable in environment):
        return
    if listed is None:
        remedy = "export it by the name that docs.litellm.ai/docs/providers gives"
        raise UsageError(f"{option} {name}", f"no key of {provider} is set", remedy)
    if not environment.get(listed.api_key_env):
        raise UsageError(f"{option} {name}", f"{listed.api_key_env} not set", "export the key or put it into .env")


def _check_region(name: str, environment: Mapping[str, str], option: str) -> None:
    """Raises: UsageError if neither the name, nor a variable, nor the profile says in which region the model is."""
    if REGION.search(name) or any(environment.get(variable) for variable in (*REGION_VARIABLES, *ADDRESS_VARIABLES)):
        return
    if importlib.util.find_spec("boto3"):
        faults = importlib.import_module("botocore.exceptions")
        try:
            if importlib.import_module("boto3").Session().region_name:
                return
        except faults.BotoCoreError as error:
            remedy = "correct AWS_PROFILE or the file of profiles"
            raise UsageError(f"{option} {name}", f"{error}", remedy) from error
    remedy = "export AWS_REGION_NAME, for example us-east-1: prompts are sent to no region of litellm's choice"
    raise UsageError(f"{option} {name}", "no region is named", remedy)


def price_of(model: str, rules: RuleTable) -> Price | None:
    """USD a token, from the settings or from litellm's table. None if neither has it.

    A price of zero counts only in the settings. In litellm's table many unknown prices are zero.
    """
    model = model.removeprefix("aider/")
    registered = rules.find(model)
    if registered.input_usd_per_mtok is not None and registered.output_usd_per_mtok is not None:
        return Price(registered.input_usd_per_mtok / 1e6, registered.output_usd_per_mtok / 1e6)
    litellm = load_litellm()
    try:
        known = litellm.get_model_info(model)
    except litellm.exceptions.ModelNotMappedError:
        return None
    sent, received = known.get("input_cost_per_token"), known.get("output_cost_per_token")
    return Price(float(sent), float(received)) if sent and received else None
