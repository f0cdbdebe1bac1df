"""Training data from a language model's activations at a hook: text -> tokens -> rows, through transformer_lens.

The model is loaded as sae_bench loads it (HookedTransformer.from_pretrained_no_processing) and does not run beyond the
hook. Contexts hold tokens of consecutive documents with a separator between two, as sae_lens packs them for the
evaluation of sae_bench. The activations of BOS, EOS and PAD are left out, as sae_bench's core leaves them out of
sparsity and variance. Documents of the evaluation are left out by their hash.
Importing this module loads no other library, because huggingface_hub reads its environment when it is first imported.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import itertools
import os
import re
import shutil
import sys
import time
import unicodedata
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.plan import MODEL_FILES, TEMPLATE, ProfileRefused, digest_of_files

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformer_lens import HookedTransformer

DOCUMENTS_AT_ONCE = 256
REPORT_EVERY_S = 10.0


# -------------------------------------------------------------------------------------------------------------- models


def use_stand_in(model: dict[str, Any], home: Path) -> None:
    """Write a hub cache into `home` in which the assets' model has its name, and go offline.

    This must run before huggingface_hub is imported. Processes started from this one inherit it.
    """
    lay_out_hub(model, home)
    os.environ.pop("HF_HUB_CACHE", None)
    os.environ.update(HF_HOME=str(home), HF_HUB_OFFLINE="1")


def lay_out_hub(model: dict[str, Any], home: Path) -> None:
    """Write home/hub, in which the assets' model has the name that the profile gives it."""
    source = TEMPLATE / model["assets"]
    files = sorted(path for pattern in MODEL_FILES for path in source.glob(pattern))
    commit = digest_of_files(files)[:40]
    repository = home / "hub" / f"models--{model['name'].replace('/', '--')}"
    (repository / "refs").mkdir(parents=True, exist_ok=True)
    (repository / "refs" / "main").write_text(commit)
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True, exist_ok=True)
    for path in files:
        shutil.copyfile(path, snapshot / path.name)


def fetch(name: str) -> None:
    """Download a model's files to the hub's cache if they are not there.

    Raises: ProfileRefused if it cannot be had.
    """
    check_name(name)
    import huggingface_hub as hub
    from huggingface_hub import errors

    token = hub.get_token()
    no_token = "" if token else " (no token is set: HF_TOKEN)"
    try:
        hub.snapshot_download(name, allow_patterns=list(MODEL_FILES))
    except errors.GatedRepoError as e:
        remedy = "accept its licence on the hub" + (" with that account" if token else " and set HF_TOKEN")
        raise ProfileRefused("hidden.model.name", f"{name} is gated and was not given{no_token}", remedy) from e
    except errors.RepositoryNotFoundError as e:
        remedy = "check the name, or set HF_TOKEN if it is private or gated"
        raise ProfileRefused("hidden.model.name", f"the hub does not show {name}{no_token}", remedy) from e
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, OSError) as e:
        if isinstance(e, OSError) and e.errno is not None and not isinstance(e, ConnectionError):
            raise
        what = f"{name} is not on this machine and the hub cannot be reached ({type(e).__name__}){no_token}"
        raise ProfileRefused("hidden.model.name", what, "go online, set HF_TOKEN if the model is gated") from e


def check_name(name: str) -> None:
    """Raises: ProfileRefused, with the nearest names, if transformer_lens does not know the model."""
    from transformer_lens.loading_from_pretrained import get_official_model_name, make_model_alias_map

    try:
        official = get_official_model_name(name)
    except ValueError as e:
        known = make_model_alias_map()
        near = dict.fromkeys(known[alias] for alias in difflib.get_close_matches(name.lower(), known, n=8, cutoff=0.5))
        nearest = ", ".join(list(near)[:3]) or "EleutherAI/pythia-70m-deduped"
        what = f"transformer_lens knows no model {name}"
        raise ProfileRefused("hidden.model.name", what, f"nearest: {nearest}") from e
    if official != name:
        raise ProfileRefused("hidden.model.name", f"{name} is a short name", f"write {official}")


def load_model(name: str, dtype: torch.dtype) -> HookedTransformer:
    """Load the model in evaluation mode and without weight processing, on the GPU if there is one.

    Raises: ProfileRefused if its files cannot be made into a model.
    """
    import torch
    from transformer_lens import HookedTransformer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            model = HookedTransformer.from_pretrained_no_processing(name, device=device, dtype=dtype)
        except (OSError, ValueError, KeyError, RuntimeError) as e:
            if is_out_of_memory(e):
                raise
            what = f"{name} cannot be loaded ({first_line(e)})"
            raise ProfileRefused("hidden.model", what, "check its files, or name another model") from e
    return model.eval().requires_grad_(False)


def layers_needed(model: HookedTransformer, hook: str) -> int:
    """Number of blocks that must run for the hook to be reached: `stop_at_layer`.

    Raises: ProfileRefused, with the nearest names, if the model has no such hook.
    """
    if hook not in model.hook_dict:
        near = difflib.get_close_matches(hook, model.hook_dict, n=3, cutoff=0.3)
        what = f"the model has no hook {hook} ({model.cfg.n_layers} layers, 0 to {model.cfg.n_layers - 1})"
        raise ProfileRefused("hidden.hook", what, f"nearest: {', '.join(near) or 'blocks.0.hook_resid_post'}")
    found = re.match(r"blocks\.(\d+)\.", hook)  # blocks.12.hook_resid_post
    if found:
        return int(found.group(1)) + 1
    if hook.startswith(("hook_embed", "hook_pos_embed", "embed.", "pos_embed.")):
        return 0
    raise ProfileRefused("hidden.hook", f"{hook} is in no block", "choose a hook in blocks.N")


def rows_at_hook(model: HookedTransformer, hook: str, tokens: Tensor) -> Tensor:
    """Activations of the tokens (batch, context) that are not special, (rows, d), on the CPU.

    The heads of a token are concatenated. Blocks after the hook do not run.
    """
    import torch

    caught: list[Tensor] = []

    def catch(activation: Tensor, hook: Any) -> None:
        caught.append(activation.flatten(2))  # (batch, context, d)

    with torch.no_grad():
        model.run_with_hooks(
            tokens.to(model.cfg.device),
            return_type=None,
            stop_at_layer=layers_needed(model, hook),
            fwd_hooks=[(hook, catch)],
        )
    keep = ~torch.isin(tokens, torch.tensor(sorted(special_tokens(model.tokenizer)), dtype=tokens.dtype))
    return caught[0].cpu()[keep]


def special_tokens(tokenizer: Any) -> set[int]:
    """Tokens whose activations sae_bench's core ignores. Source: sae_bench 0.6.0, evals/core/main.py, ignore_tokens."""
    return {tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.bos_token_id} - {None}


# ---------------------------------------------------------------------------------------------------------------- text


def document_hash(text: str) -> str:
    """SHA-256 of the text with white space and Unicode forms made equal, hexadecimal."""
    return hashlib.sha256(" ".join(unicodedata.normalize("NFC", text).split()).encode()).hexdigest()


def documents(dataset: dict[str, Any]) -> Iterator[str]:
    """The data set's documents in their own order, streamed.

    Raises: ProfileRefused if there is no such data set, split or column.
    """
    if "generator" in dataset:
        yield from generated(dataset)
        return
    column = dataset.get("column", "text")
    for row in open_dataset(dataset):
        if not isinstance(row.get(column), str):
            what = f"the data set has no text column {column}"
            raise ProfileRefused("hidden.dataset.column", what, f"choose one of {', '.join(map(str, row))}")
        yield row[column]


def generated(dataset: dict[str, Any]) -> Iterator[str]:
    """The project's own text."""
    from data import text

    if dataset["generator"] != "text":
        raise ProfileRefused("hidden.dataset.generator", f"{dataset['generator']!r} is unknown", "there is: text")
    made = text.documents(dataset.get("split", "train"), dataset.get("seed", 0))
    try:
        yield from made
    except ValueError as e:
        raise ProfileRefused("hidden.dataset.split", first_line(e), "choose one of those") from e
    except RuntimeError:
        return  # the grammar holds no more documents


def open_dataset(dataset: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """Open a data set for streaming: one of the hub, or a folder, absolute or below the template.

    Raises: ProfileRefused.
    """
    import datasets
    from huggingface_hub import errors

    split = dataset.get("split", "train")
    shown = dataset.get("name") or dataset["path"]
    try:
        if "path" in dataset:
            return open_folder(TEMPLATE / dataset["path"], split)
        options = {name: dataset[name] for name in ("name", "revision") if name in dataset}
        path = options.pop("name")
        return datasets.load_dataset(path, dataset.get("config"), split=split, streaming=True, **options)
    except errors.GatedRepoError as e:
        what = f"the data set {shown} is gated and was not given"
        raise ProfileRefused("hidden.dataset", what, "accept its licence on the hub and set HF_TOKEN") from e
    except (ConnectionError, errors.OfflineModeIsEnabled, errors.HfHubHTTPError) as e:
        what = f"the data set {shown} is not on this machine and the hub cannot be reached ({type(e).__name__})"
        raise ProfileRefused("hidden.dataset", what, "go online, or name a folder as path") from e
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as e:
        what = f"the data set {shown} with split {split} cannot be opened ({first_line(e)})"
        raise ProfileRefused("hidden.dataset", what, "check its name, config and split") from e


def open_folder(folder: Path, split: str) -> Iterable[dict[str, Any]]:
    """Open Parquet or JSON-lines files: `folder` itself, those in it named <split>*, or all of them if none is.

    Raises: FileNotFoundError.
    """
    import datasets

    for kind, endings in (("parquet", ("*.parquet",)), ("json", ("*.jsonl", "*.json"))):
        files = [folder] if folder.is_file() and any(folder.match(ending) for ending in endings) else []
        files += sorted(path for ending in endings for path in folder.rglob(ending))
        named = [path for path in files if path.name.startswith(split)]
        if files:
            return datasets.load_dataset(
                kind, data_files=[str(p) for p in named or files], split="train", streaming=True
            )
    raise FileNotFoundError(f"no parquet or JSON-lines file in {folder}")


def contexts(texts: Iterable[str], tokenizer: Any, context: int, bos: str) -> Iterator[list[int]]:
    """Token ids in lists of length `context`: documents end to end with separators, cut at the length of a context.

    bos "each_context": BOS stands first in every context and separates documents. "none": EOS separates them.
    """
    each = bos == "each_context"
    separator = tokenizer.bos_token_id if each else tokenizer.eos_token_id
    head = [tokenizer.bos_token_id] if each else []
    pending: list[int] = []
    size = context - len(head)
    texts = iter(texts)
    while batch := list(itertools.islice(texts, DOCUMENTS_AT_ONCE)):
        for ids in tokenizer(batch, add_special_tokens=False, verbose=False)["input_ids"]:
            pending += [separator, *ids] if pending or not each else ids
        full = len(pending) // size * size
        for first in range(0, full, size):
            yield head + pending[first : first + size]
        pending = pending[full:]


class NewDocuments:
    """The documents whose hash is not excluded. Counts those passed on and those skipped."""

    def __init__(self, texts: Iterable[str], excluded: Collection[str]) -> None:
        self.texts, self.excluded = texts, frozenset(excluded)
        self.passed = self.skipped = 0

    def __iter__(self) -> Iterator[str]:
        for text in self.texts:
            if document_hash(text) in self.excluded:
                self.skipped += 1
            else:
                self.passed += 1
                yield text


# ----------------------------------------------------------------------------------------------------------- preparing


def write_training(
    profile: dict[str, Any], folder: Path, excluded: Collection[str], report: Callable[[str], None]
) -> dict[str, Any]:
    """Write the shuffled, scaled activations to folder/activations.bin, and return the facts for meta.json.

    Raises: ProfileRefused if the hook, a width, the amount of text or the dtype does not fit.
    """
    import torch
    from data.shuffled_rows import NotFinite, ShuffledRows

    hidden = profile["hidden"]
    raw = getattr(torch, hidden["model"]["dtype"])
    model = load_model(hidden["model"]["name"], raw)
    layers = layers_needed(model, hidden["hook"])
    report(f"{hidden['model']['name']}: {layers} of {model.cfg.n_layers} layers on {model.cfg.device}")
    texts = NewDocuments(documents(hidden["dataset"]), excluded)
    writer = ShuffledRows(folder, rows=hidden["tokens"], d_in=profile["d_in"], dtype=raw, seed=hidden["shuffle_seed"])
    packed = contexts(texts, model.tokenizer, hidden["context"], hidden["bos"])
    started = told = time.monotonic()
    for x in rows_of_contexts(model, profile, packed):  # (rows, d_in)
        writer.add(x[: hidden["tokens"] - writer.rows])
        if time.monotonic() - told > REPORT_EVERY_S:
            told = time.monotonic()
            report(f"{writer.rows:,} of {hidden['tokens']:,} tokens, {writer.rows / (told - started):,.0f} a second")
    try:
        scale = writer.finish(folder / "activations.bin", getattr(torch, profile["dtype"]))
    except NotFinite as e:
        raise ProfileRefused("dtype", str(e), "choose bfloat16 or float32, here and in hidden.model.dtype") from e
    return {
        "rows": hidden["tokens"],
        "d_in": profile["d_in"],
        "dtype": profile["dtype"],
        "scale": scale,
        "documents": texts.passed,
        "documents_left_out": texts.skipped,
        "device": str(model.cfg.device),
    }


def rows_of_contexts(
    model: HookedTransformer, profile: dict[str, Any], packed: Iterator[list[int]]
) -> Iterator[Tensor]:
    """Activations (rows, d_in) of one batch of contexts after the other, until there are hidden.tokens rows.

    Raises: ProfileRefused if there are fewer, or if their width is not d_in.
    """
    import torch

    hidden, found = profile["hidden"], 0
    while found < hidden["tokens"]:
        batch = list(itertools.islice(packed, hidden["batch_prompts"]))
        if not batch:
            what = f"{hidden['tokens']:,} asked for, but the data set ends after {found:,}"
            raise ProfileRefused("hidden.tokens", what, "lower it, or name a larger data set")
        x = rows_at_hook(model, hidden["hook"], torch.tensor(batch))  # (rows, d_in)
        if x.shape[1] != profile["d_in"]:
            what = f"{profile['d_in']}, but {hidden['hook']} is {x.shape[1]} wide"
            raise ProfileRefused("d_in", what, "make them equal")
        found += len(x)
        yield x


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the error says that memory, of the machine or of the GPU, ran out in Python or torch."""
    return isinstance(error, MemoryError) or "out of memory" in str(error).lower() or "can't allocate" in str(error)


def first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
