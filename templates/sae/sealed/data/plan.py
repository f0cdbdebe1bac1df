"""Checks a profile and computes the keys under which its data is stored.

This module needs no library beyond Python's own, so that finding data that is there costs milliseconds. A key hashes
everything on which the bytes depend. For synthetic data that is the model's config. For a language model it is its
weights (their hash, or the commit that the hub names), hook, data set, context, rule for BOS, tokens, dtypes, seed and
the evaluation's documents, which are left out of training. VERSION is in both, and goes up if the code here would make
other bytes of the same profile.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

VERSION = 1
ITEM_BYTES = {"float16": 2, "bfloat16": 2, "float32": 4}
BOS_RULES = ("each_context", "none")
MODEL_FILES = ("*.json", "*.safetensors", "*.txt", "*.model")
MODULES = Path(__file__).resolve().parent
TEMPLATE = Path(__file__).resolve().parents[2]


class ProfileRefused(Exception):
    """The profile cannot be prepared. The message names the `field` at fault, the fault and a remedy."""

    def __init__(self, field: str, what: str, remedy: str) -> None:
        super().__init__(" ".join(f"{field}: {what}; {remedy}".split()))
        self.field = field


# ------------------------------------------------------------------------------------------------------------- checks


def read_profile(path: Path) -> dict[str, Any]:
    """The whole profile.

    Raises: ProfileRefused if the file is missing, is no JSON object, or has no object "hidden".
    """
    try:
        profile = json.loads(path.read_text())
    except OSError as e:
        raise ProfileRefused("--profile", f"{path} cannot be read ({e.strerror})", "name a profile's JSON file") from e
    except ValueError as e:
        raise ProfileRefused("--profile", f"{path} is no JSON ({e})", "mend the file") from e
    if not isinstance(profile, dict) or not isinstance(profile.get("hidden"), dict):
        raise ProfileRefused("hidden", f"{path} has no such object", "say there where the data comes from")
    return profile


def check_profile(profile: dict[str, Any]) -> None:
    """Refuse values that are impossible whatever the model and its data are.

    Raises: ProfileRefused.
    """
    for name in ("steps", "batch_size", "d_in", "d_sae", "k"):
        whole_number(profile, name)
    if profile["k"] > profile["d_sae"]:
        what = f"{profile['k']} active latents of d_sae {profile['d_sae']} cannot be"
        raise ProfileRefused("k", what, "choose k from 1 to d_sae")
    one_of(profile, "dtype", ITEM_BYTES)
    hidden = profile["hidden"]
    one_of(hidden, "source", CHECKS, "hidden.")
    CHECKS[hidden["source"]](profile, hidden)


def check_synthetic(profile: dict[str, Any], hidden: dict[str, Any]) -> None:
    whole_number(hidden, "rows", "hidden.")
    whole_number(hidden, "eval_samples", "hidden.")
    config = an_object(hidden, "synthetic")
    whole_number(config, "num_features", "hidden.synthetic.")
    whole_number(config, "hidden_dim", "hidden.synthetic.")
    if config["hidden_dim"] != profile["d_in"]:
        what = f"{profile['d_in']}, but hidden.synthetic.hidden_dim is {config['hidden_dim']}"
        raise ProfileRefused("d_in", what, "make them equal")


def check_language_model(profile: dict[str, Any], hidden: dict[str, Any]) -> None:
    for name, least in (("tokens", 1), ("context", 2), ("batch_prompts", 1), ("shuffle_seed", 0)):
        whole_number(hidden, name, "hidden.", least)
    one_of(hidden, "bos", BOS_RULES, "hidden.")
    a_text(hidden, "hook")
    model, dataset = an_object(hidden, "model"), an_object(hidden, "dataset")
    a_text(model, "name", "hidden.model.")
    one_of(model, "dtype", ITEM_BYTES, "hidden.model.")
    if "assets" in model and not (TEMPLATE / model["assets"] / "config.json").is_file():
        what = f"{TEMPLATE / model['assets']} holds no config.json"
        raise ProfileRefused("hidden.model.assets", what, "name a folder that holds a saved model and its tokenizer")
    if len({"name", "path", "generator"} & dataset.keys()) != 1:
        what = "it must have one of name (on the hub), path (a folder of parquet or JSON lines), generator"
        raise ProfileRefused("hidden.dataset", what, "name one source")


CHECKS: dict[str, Callable[[dict[str, Any], dict[str, Any]], None]] = {
    "synthetic": check_synthetic,
    "language_model": check_language_model,
}


def whole_number(content: dict[str, Any], name: str, prefix: str = "", least: int = 1) -> None:
    value = content.get(name)
    if type(value) is not int or value < least:
        what = "it is missing" if value is None else f"{value!r} is impossible"
        raise ProfileRefused(prefix + name, what, f"give a whole number from {least} on")


def one_of(content: dict[str, Any], name: str, known: Any, prefix: str = "") -> None:
    if content.get(name) not in tuple(known):
        raise ProfileRefused(prefix + name, f"{content.get(name)!r} is unknown", f"choose one of {', '.join(known)}")


def an_object(content: dict[str, Any], name: str) -> dict[str, Any]:
    value = content.get(name)
    if not isinstance(value, dict):
        raise ProfileRefused(f"hidden.{name}", "it is missing or no object", "add it")
    return value


def a_text(content: dict[str, Any], name: str, prefix: str = "hidden.") -> None:
    if not isinstance(content.get(name), str) or not content[name]:
        raise ProfileRefused(prefix + name, "it is missing or no text", "add it")


# --------------------------------------------------------------------------------------------------------------- keys


def digest_of(fields: dict[str, Any]) -> str:
    """SHA-256 of JSON with sorted keys, hexadecimal."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def key_of(fields: dict[str, Any]) -> str:
    """The name of an entry's folder."""
    return digest_of(fields)[:24]


def data_id_of(fields: dict[str, Any]) -> int:
    """The first 48 bits of the hash, a number that JSON and float64 carry exactly."""
    return int(digest_of(fields)[:12], 16)


def synthetic_fields(profile: dict[str, Any]) -> dict[str, Any]:
    """Everything on which the bytes of the training rows and the evaluation samples depend."""
    hidden = profile["hidden"]
    names = ("source", "rows", "eval_samples", "synthetic")
    shape = {"d_in": profile["d_in"], "dtype": profile["dtype"]}
    return {"version": VERSION, **shape, **{name: hidden[name] for name in names}}


def text_fields(profile: dict[str, Any], weights: str) -> dict[str, Any]:
    """Everything on which the evaluation's folder depends, except for the scale."""
    hidden = profile["hidden"]
    return {
        "version": VERSION,
        "weights": weights,
        "model": hidden["model"]["name"],
        "dataset": hidden["dataset"],
        "context": hidden["context"],
        "evaluation": hidden.get("evaluation", {}),
        "generators": [declared_version(MODULES / name) for name in ("evaluation_sets.py", "text.py")],
    }


def language_model_fields(profile: dict[str, Any], weights: str) -> dict[str, Any]:
    """Everything on which the bytes of the activations and of the evaluation's folder depend."""
    hidden = profile["hidden"]
    names = ("source", "model", "hook", "dataset", "context", "bos", "tokens", "batch_prompts", "shuffle_seed")
    return {
        **{name: hidden[name] for name in names},
        "d_in": profile["d_in"],
        "dtype": profile["dtype"],
        "texts": text_fields(profile, weights),
        "version": VERSION,
    }


def declared_version(path: Path) -> int | None:
    """The number that a module gives as its VERSION or GENERATOR_VERSION, read without running it."""
    if not path.is_file():
        return None
    found = re.search(r"^(?:GENERATOR_)?VERSION = (\d+)", path.read_text(), re.MULTILINE)  # GENERATOR_VERSION = 1
    return int(found.group(1)) if found else None


def digest_of_files(paths: list[Path]) -> str:
    """SHA-256 over the names and bytes of files. A missing one counts as empty."""
    total = hashlib.sha256()
    for path in paths:
        content = path.read_bytes() if path.is_file() else b""
        total.update(f"{path.name}\0{len(content)}\0".encode() + content)
    return total.hexdigest()


def weights_of(model: dict[str, Any]) -> str | None:
    """Identity of a set of weights and its tokenizer: the files' hash, or the commit on the hub.

    None for a model of the hub that is not on this machine yet.
    """
    if "assets" in model:
        folder = TEMPLATE / model["assets"]
        return digest_of_files(sorted(path for pattern in MODEL_FILES for path in folder.glob(pattern)))
    reference = hub_folder() / f"models--{model['name'].replace('/', '--')}" / "refs" / "main"
    return reference.read_text().strip() if reference.is_file() else None


def hub_folder() -> Path:
    """The folder in which huggingface_hub keeps its downloads, by the same rule as its own."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = Path(os.environ.get("HF_HOME") or cache / "huggingface").expanduser()
    return Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()


def training_bytes(profile: dict[str, Any]) -> int:
    """Bytes on the disk at the peak of making the training data.

    A language model's rows lie in the model's dtype until they are shuffled. A part is deleted after it was copied.
    """
    hidden, item = profile["hidden"], ITEM_BYTES[profile["dtype"]]
    if hidden["source"] == "synthetic":
        return hidden["rows"] * profile["d_in"] * item
    raw = ITEM_BYTES[hidden["model"]["dtype"]]
    return hidden["tokens"] * profile["d_in"] * max(raw, item) * 5 // 4
