"""Prepares a profile's data once before its runs: training activations, and the data of the evaluation.

    python prepare.py --profile=profiles/synth.json --store=DIR

Prints progress to stderr and, last on stdout, {"training", "evaluation", "bytes", "made", "seconds"}. If all of it is
there and whole, nothing is made and torch is not imported. Exit code 1: the last line on stderr is the reason.
SCIENTIST_DATA_MAX_GIB (100) bounds the store. Data that was asked for longest ago is evicted, but none that is in use.

    store/training/<key>/     activations.bin (rows, d_in), meta.json {"rows", "d_in", "dtype", "scale", "data_id", ...}
    store/evaluation/<key>/   samples.safetensors (synthetic), or the files of evaluation_sets.make (a language model),
                              and meta.json {"scale", "data_id", ..., "fields": everything that was hashed}
    store/texts/<key>/        a language model's evaluation before the scale is known: evaluation/ links to its files
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from typing import Any

from data import plan
from data.plan import ProfileRefused
from data.store import Damaged, NoRoom, Store, StoreEntry, reading

GIB = 1 << 30
EVALUATION_BYTES = 256 << 20  # more than an evaluation folder takes
HASHES = "document_hashes.txt"  # in an evaluation folder: SHA-256 of the documents that training leaves out


def report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def write_meta(folder: Path, content: dict[str, Any]) -> None:
    (folder / "meta.json").write_text(json.dumps(content, indent=1) + "\n")


class ProfilePreparation:
    """The preparation of one profile's data in the store. Entries stay in use until `held` is closed."""

    def __init__(self, profile: dict[str, Any], store: Store, held: ExitStack) -> None:
        self.profile, self.store, self.held = profile, store, held
        self.started = time.monotonic()
        self.made = False

    def obtain(self, kind: str, fields: dict[str, Any], needed: int, make: Callable[[Path], None]) -> StoreEntry:
        """The entry, made if it must be, and kept from eviction."""
        while True:
            entry = self.store.obtain(kind, plan.key_of(fields), needed, make)
            self.made |= entry.made
            try:
                self.held.enter_context(reading(entry.folder))
                return entry
            except Damaged:
                continue  # evicted by another process in this instant

    def find(self, fields: dict[str, Any]) -> tuple[StoreEntry, StoreEntry] | None:
        """Training and evaluation, if both are there and whole."""
        key = plan.key_of(fields)
        training, evaluation = (self.store.find(kind, key) for kind in ("training", "evaluation"))
        return (training, evaluation) if training and evaluation else None

    def answer(self, training: StoreEntry, evaluation: StoreEntry) -> dict[str, Any]:
        return {
            "training": str(training.folder),
            "evaluation": str(evaluation.folder),
            "bytes": training.size_bytes + evaluation.size_bytes,
            "made": self.made,
            "seconds": round(time.monotonic() - self.started, 3),
        }

    # ---------------------------------------------------------------------------------------------------- synthetic

    def synthetic(self) -> dict[str, Any]:
        """Training rows and evaluation samples of the synthetic model."""
        fields = plan.synthetic_fields(self.profile)
        return self.answer(*(self.find(fields) or self.make_synthetic(fields)))

    def make_synthetic(self, fields: dict[str, Any]) -> tuple[StoreEntry, StoreEntry]:
        from data import synthetic

        data_id = plan.data_id_of(fields)

        def make_training(folder: Path) -> None:
            report(f"drawing {self.profile['hidden']['rows']:,} rows of synthetic activations")
            found = synthetic.write_training(self.profile, folder, report)
            write_meta(folder, {**found, "data_id": data_id})

        def make_evaluation(folder: Path) -> None:
            found = synthetic.write_evaluation(self.profile, folder)
            write_meta(folder, {**found, "data_id": data_id, "fields": fields})

        needed = plan.training_bytes(self.profile)
        training = self.obtain("training", fields, needed, make_training)
        return training, self.obtain("evaluation", fields, EVALUATION_BYTES, make_evaluation)

    # ----------------------------------------------------------------------------------------------- language model

    def language_model(self) -> dict[str, Any]:
        """Activations at the hook and the evaluation's folder."""
        model = self.profile["hidden"]["model"]
        weights = plan.weights_of(model)
        if weights:
            found = self.find(plan.language_model_fields(self.profile, weights))
            if found:
                return self.answer(*found)
        from data import language_model

        if "assets" in model:
            home = self.held.enter_context(tempfile.TemporaryDirectory(prefix="scientist-hub-"))
            language_model.use_stand_in(model, Path(home))
            language_model.check_name(model["name"])
        else:
            language_model.fetch(model["name"])
            weights = plan.weights_of(model)
        return self.answer(*self.make_language_model(str(weights)))

    def make_language_model(self, weights: str) -> tuple[StoreEntry, StoreEntry]:
        from data import evaluation_sets, language_model

        fields = plan.language_model_fields(self.profile, weights)
        data_id = plan.data_id_of(fields)

        def make_texts(folder: Path) -> None:
            report("preparing the evaluation's data")
            evaluation_sets.make(self.profile, folder)

        def make_training(folder: Path) -> None:
            excluded = (texts.folder / HASHES).read_text().split()
            found = language_model.write_training(self.profile, folder, excluded, report)
            write_meta(folder, {**found, "data_id": data_id})

        def make_evaluation(folder: Path) -> None:
            link_files(texts.folder, folder)
            found = json.loads((training.folder / "meta.json").read_text())
            hub = {} if "assets" in self.profile["hidden"]["model"] else {"hub": str(plan.hub_folder())}
            write_meta(folder, {**found, **hub, "fields": fields})

        texts = self.obtain("texts", fields["texts"], EVALUATION_BYTES, make_texts)
        training = self.obtain("training", fields, plan.training_bytes(self.profile), make_training)
        return training, self.obtain("evaluation", fields, EVALUATION_BYTES, make_evaluation)


def link_files(source: Path, target: Path) -> None:
    """Link the same files into another folder, without `complete`, or copy them if they cannot be linked."""
    for path in sorted(source.rglob("*")):
        there = target / path.relative_to(source)
        if path.is_dir():
            there.mkdir(parents=True, exist_ok=True)
        elif path.name != "complete":
            there.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, there)
            except OSError:
                shutil.copy2(path, there)


# ------------------------------------------------------------------------------------------------------- command line


def prepare(profile_path: Path, root: Path, limit: int) -> dict[str, Any]:
    """Prepare all data of a profile in the store, and return the answer that is printed.

    Raises: ProfileRefused. OSError or an exception of a library if the machine, not the profile, is at fault.
    """
    profile = plan.read_profile(profile_path)
    plan.check_profile(profile)
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise ProfileRefused("--store", f"{root} cannot be made ({e.strerror})", "name another folder") from e
    with ExitStack() as held, redirect_stdout(sys.stderr):
        work = ProfilePreparation(profile, Store(root, limit, report), held)
        try:
            return work.synthetic() if profile["hidden"]["source"] == "synthetic" else work.language_model()
        except NoRoom as e:
            raise no_room(e, profile) from e
        except (MemoryError, RuntimeError) as e:
            from data import language_model

            if not language_model.is_out_of_memory(e):
                raise
            what = f"out of memory ({language_model.first_line(e)})"
            raise ProfileRefused("hidden.batch_prompts", what, "lower it, or hidden.context") from e


def no_room(error: NoRoom, profile: dict[str, Any]) -> ProfileRefused:
    """The refusal for lack of room, with the sizes and the field to lower."""
    size = "hidden.rows" if profile["hidden"]["source"] == "synthetic" else "hidden.tokens"
    needed, free = (in_words(value) for value in (error.needed, error.free))
    if error.limit is None:
        what = f"no disk for the cache: {error.folder} needs {needed}, {free} are free"
        return ProfileRefused(size, what, f"free some, point SCIENTIST_CACHE at another disk, or lower {size}")
    what = f"no disk for the cache: {error.folder} needs {needed}, its limit leaves {free} beside what is in use"
    return ProfileRefused(size, what, f"raise SCIENTIST_DATA_MAX_GIB ({round(error.limit / GIB, 6):g}) or lower {size}")


def in_words(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:,.2f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.2f} MB"


def size_limit(text: str) -> int:
    """Bytes of a number of GiB.

    Raises: ProfileRefused.
    """
    try:
        gib = float(text)
    except ValueError:
        gib = 0.0
    if not 0 < gib < float("inf"):
        raise ProfileRefused("SCIENTIST_DATA_MAX_GIB", f"{text!r} is no size", "give a number above 0")
    return int(gib * GIB)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    args = parser.parse_args()
    try:
        limit = size_limit(os.environ.get("SCIENTIST_DATA_MAX_GIB", "100"))
        answer = prepare(args.profile, args.store.resolve(), limit)
    except ProfileRefused as e:
        print(f"prepare.py: error: {e}", file=sys.stderr)
        return 1
    except OSError as e:
        print(f"prepare.py: error: {args.store}: {e}; check the disk and its rights", file=sys.stderr)
        return 1
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
