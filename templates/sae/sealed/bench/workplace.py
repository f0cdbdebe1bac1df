"""The folders in which sae_bench runs, with data sets under the names that sae_bench asks for.

    <scratch>/work/            the working directory: links to the data sets of <data>/data, and sae_bench's results
    <scratch>/caches/          caches of datasets and of modules
    <data>/hub_home/           HF_HOME if the model is the project's own, else meta.json names the hub folder
    <data>/artifacts/<key>/    a language model's activations for probes, which all of its SAEs share

The key of artifacts hashes everything on which they depend. They are made under a lock, in a folder that is renamed
when it is whole and lists the sizes of its files, so that no stale or half-written artifact is ever read. If <data>
cannot be written, they lie in the scratch folder. <data> is kept from eviction until the process ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.plan import digest_of_files
from data.store import COMPLETE, Damaged, check_contents, check_sizes, digest, reading, seal
from encoder.faults import CannotEvaluate

HUB = "hub_home"


@dataclass(frozen=True)
class Workplace:
    """The prepared folder `data`, a folder `scratch` that is deleted with the process, and the data's `meta`.json."""

    data: Path
    scratch: Path
    meta: dict[str, Any]

    @property
    def work(self) -> Path:
        return self.scratch / "work"

    def fresh(self, name: str) -> Path:
        """An empty folder for results, so that no result of an earlier evaluation is read in its place."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.scratch))

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Set the working directory and gradient mode for sae_bench, and set both back at the block's end."""
        import torch

        with contextlib.chdir(self.work), torch.set_grad_enabled(True):
            yield

    @functools.cached_property
    def weights(self) -> str:
        """Identity of the model's weights and tokenizer: the hash of their files, or the hub's commit."""
        home = self.data / HUB
        if home.is_dir():
            return digest_of_files(sorted(path for path in home.glob("hub/*/snapshots/*/*") if path.is_file()))
        return str(self.meta["fields"]["texts"]["weights"])

    @functools.cached_property
    def data_hash(self) -> str:
        """SHA-256 over the names and bytes of the evaluation's data sets."""
        total = hashlib.sha256()
        for path in sorted((self.data / "data").rglob("*.parquet")):
            total.update(f"{path.relative_to(self.data)}\0{digest(path)}\0".encode())
        return total.hexdigest()

    @contextlib.contextmanager
    def artifacts(self, fields: dict[str, Any]) -> Iterator[Path]:
        """Folder of the artifacts that depend on these fields: found, or filled by the block and then kept."""
        key = hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:24]
        root = self.data / "artifacts"
        try:
            root.mkdir(exist_ok=True)
            lock = (root / f"{key}.lock").open("w")
        except OSError:  # read-only data
            yield self.scratch / "artifacts" / key
            return
        with lock:
            folder, making = root / key, root / f".making-{key}"
            fcntl.flock(lock, fcntl.LOCK_SH)
            if not is_whole(folder):  # several may read at once, one makes
                fcntl.flock(lock, fcntl.LOCK_EX)
            if is_whole(folder):
                fcntl.flock(lock, fcntl.LOCK_SH)
                yield folder
                return
            for old in (folder, making):
                shutil.rmtree(old, ignore_errors=True)
            try:
                yield making
                if making.is_dir():
                    seal(making)
                    making.rename(folder)
            finally:
                shutil.rmtree(making, ignore_errors=True)


def is_whole(folder: Path) -> bool:
    try:
        check_sizes(folder)
    except Damaged:
        return False
    return True


_OPEN: dict[Path, tuple[Workplace, tempfile.TemporaryDirectory[str], contextlib.ExitStack]] = {}


def open_workplace(data: Path | None) -> Workplace:
    """The workplace of this process for the prepared folder. Sets variables that Hugging Face's libraries read.

    Raises: CannotEvaluate if the folder lacks something, or those libraries were imported before with another HF_HOME.
    """
    if data is None:
        raise CannotEvaluate(
            "SCIENTIST_EVALUATION_DATA is not set: it names the evaluation folder that prepare.py made"
        )
    data = data.resolve()
    if data in _OPEN:
        return _OPEN[data][0]
    held = contextlib.ExitStack()
    if (data / COMPLETE).exists():  # an entry of the store
        try:
            held.enter_context(reading(data))
            check_contents(data)
        except Damaged as e:
            held.close()
            raise CannotEvaluate(f"the evaluation's data cannot be read ({e}); prepare the data again") from e
    try:
        meta = json.loads((data / "meta.json").read_text())
        scale, data_id = float(meta["scale"]), int(meta["data_id"])
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise CannotEvaluate(f"{data / 'meta.json'} cannot be read ({e!r}); prepare the data again") from e
    temporary = tempfile.TemporaryDirectory(prefix="scientist-evaluation-")
    place = Workplace(data, Path(temporary.name), {**meta, "scale": scale, "data_id": data_id})
    place.work.mkdir()
    if (data / "data").is_dir():
        for path in (data / "data").iterdir():
            (place.work / path.name).symlink_to(path)
    set_environment(place)
    _OPEN[data] = (place, temporary, held)
    return place


def set_environment(place: Workplace) -> None:
    """Put caches into the scratch folder, turn progress bars off, and jaxtyping, with which sparse_probing fails."""
    caches = place.scratch / "caches"
    os.environ.update(
        JAXTYPING_DISABLE="1",
        TOKENIZERS_PARALLELISM="false",
        TQDM_DISABLE="1",
        HF_HUB_DISABLE_TELEMETRY="1",
        HF_DATASETS_CACHE=str(caches / "datasets"),
        HF_MODULES_CACHE=str(caches / "modules"),
        HF_XET_CACHE=str(caches / "xet"),
        MPLCONFIGDIR=str(caches / "matplotlib"),
        WANDB_DIR=str(caches / "wandb"),
    )
    home = place.data / HUB
    if not home.is_dir():
        if hub := place.meta.get("hub"):  # the model was downloaded to it, and this process has a home of its own
            os.environ.setdefault("HF_HUB_CACHE", hub)
        return
    constants = sys.modules.get("huggingface_hub.constants")
    if constants and Path(constants.HF_HOME) != home:
        raise CannotEvaluate(
            f"huggingface_hub was imported with HF_HOME {constants.HF_HOME}; start a process of its own"
        )
    os.environ.pop("HF_HUB_CACHE", None)
    os.environ.update(HF_HOME=str(home), HF_HUB_OFFLINE="1")
