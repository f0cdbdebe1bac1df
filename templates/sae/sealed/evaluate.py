"""Scores a trained SAE: run_dir -> one JSON file. No code of the run is executed in this process.

    python evaluate.py --run_dir=run_1 --out=evaluation.json [--profile=profile.json] [--eval_seed=0] [--also=NAME]

Reads the whole profile ("hidden" included), experiment.py and baselines.json in the working directory, and the
prepared data that SCIENTIST_EVALUATION_DATA names. The run's encode answers from a process of its own, which is given
activations and nothing else (encoder/process.py). This process decodes, x_hat = z @ W_dec + b_dec. A run that needs
another decoder declares it (encoder/decoder.py says how), which makes its result self-reported. No score that a run
writes itself is read.

The file is written after the run's process was ended. It holds the scores, "data_id", "encode" ("served" or "graph"),
"encode_reason", and "self_reported" with a reason if the result is. hidden.encode = "graph" asks for the graph.
Exit code 1: the last line on stderr names the fault of the SAE, after the last output of its code.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from encoder.decoder import WEIGHTS, Decoder, read_declarations, read_decoder, self_report
from encoder.faults import CannotEvaluate
from encoder.run_encoder import BrokenSAE, Patience, ServedDecoder, open_encoder

SCORERS = {"synthetic": "scores.synthetic", "language_model": "scores.language_model"}
DATA = "SCIENTIST_EVALUATION_DATA"


def read_profile(path: Path) -> dict[str, Any]:
    """Read the whole profile.

    Raises: CannotEvaluate if its hidden.source is missing or unknown.
    """
    try:
        profile = json.loads(path.read_text())
        source = profile["hidden"]["source"]
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise CannotEvaluate(f"{path} is no profile with hidden.source: {e!r}") from e
    if source not in SCORERS:
        raise CannotEvaluate(f"{path}: hidden.source {source!r} is unknown; known: {', '.join(SCORERS)}")
    return profile


def order_seed(profile: dict[str, Any], decoder: Decoder) -> int:
    """Seed of the order in which rows are asked for: the same for the same run, and unknown to it."""
    hidden = json.dumps(profile["hidden"], sort_keys=True).encode()
    digest = hashlib.sha256(hidden + decoder.W_dec.numpy().tobytes())
    return int.from_bytes(digest.digest()[:7], "little")


def evaluate(
    run_dir: Path, profile_path: Path, eval_seed: int, experiment: Path, patience: Patience, also: Sequence[str] = ()
) -> dict[str, Any]:
    """Read the run's tensors, serve its encode and score it. `also` names a language model's evaluations on demand.

    Raises: BrokenSAE if it cannot be scored, CannotEvaluate if the fault is not the SAE's.
    """
    profile = read_profile(profile_path)
    source = profile["hidden"]["source"]
    torch.set_num_threads(profile["threads"])
    decoder = read_decoder(run_dir / WEIGHTS, profile["d_in"])
    declared = read_declarations(experiment)
    scorer = importlib.import_module(SCORERS[source])  # before any code of the run could touch its file
    data = Path(os.environ[DATA]) if os.environ.get(DATA) else None
    seed = order_seed(profile, decoder)
    alone, custom = declared["ENCODE"] == "row", declared["DECODER"] == "custom"
    graph = profile["hidden"].get("encode") == "graph" and alone and not custom
    with open_encoder(
        experiment, run_dir.resolve(), decoder, profile=profile, seed=seed, alone=alone, graph=graph, patience=patience
    ) as encoder:
        used = ServedDecoder(decoder.W_dec, decoder.b_dec, encoder) if custom else decoder
        if source == "synthetic":
            scores = scorer.score(encoder, used, profile, data, eval_seed)
        else:
            scores = scorer.score(encoder, used, profile, data, read_baselines(), also)
        encoder.confirm()
    scores |= {"encode": encoder.kind, "encode_reason": encoder.reason}
    if reason := self_report(declared):
        scores["self_reported"] = reason
    bad = [name for name, value in scores.items() if isinstance(value, float) and not math.isfinite(value)]
    if bad:
        raise BrokenSAE(f"not finite: {', '.join(bad)}")
    return scores


def read_baselines() -> list[dict[str, Any]]:
    """Rows {"name", "seed", "setting", "metrics"} of baselines.json. Empty if there is no file."""
    try:
        return json.loads(Path("baselines.json").read_text())
    except FileNotFoundError:
        return []


def write_results(scores: dict[str, Any], path: Path) -> None:
    """Put the whole file in place at once. A link or folder planted under its name is replaced and not followed."""
    descriptor, partial = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    with os.fdopen(descriptor, "w") as f:
        f.write(json.dumps(scores, indent=1) + "\n")
        f.flush()
        os.fsync(f.fileno())
    Path(partial).chmod(0o644)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    Path(partial).replace(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run_dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--profile", type=Path, default=Path("profile.json"))
    parser.add_argument("--eval_seed", type=int, default=0)
    parser.add_argument("--answer_s", type=float, default=Patience().answer_s, help="seconds for one batch's latents")
    parser.add_argument("--also", action="append", default=[], metavar="NAME", help="an evaluation on demand")
    args = parser.parse_args()
    patience = Patience(answer_s=args.answer_s)
    try:
        scores = evaluate(
            args.run_dir, args.profile, args.eval_seed, Path("experiment.py").resolve(), patience, args.also
        )
    except BrokenSAE as e:
        if e.output.strip():
            print(e.output.rstrip(), file=sys.stderr)
        print(f"evaluate.py: error: {e}", file=sys.stderr)
        return 1
    except CannotEvaluate as e:
        print(f"evaluate.py: error: {e}", file=sys.stderr)
        return 1
    write_results(scores, args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
