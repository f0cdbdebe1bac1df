"""Score of a run: exp(-|x - mean of the held-out samples|); claim.txt, a reason, makes it self-reported."""

import argparse
import json
import math
import os
import statistics
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--run_dir", type=Path, required=True)
parser.add_argument("--out", type=Path, required=True)
arguments = parser.parse_args()
assert json.loads(Path("profile.json").read_text())["hidden"]["samples"] > 0
baselines = json.loads(Path("baselines.json").read_text())
x = json.loads((arguments.run_dir / "state.json").read_text())["x"]
held_out = json.loads((Path(os.environ["SCIENTIST_EVALUATION_DATA"]) / "samples.json").read_text())
evaluation = {"score": math.exp(-abs(x - statistics.fmean(held_out))), "baselines": len(baselines)}
claim = arguments.run_dir / "claim.txt"
if claim.exists():
    evaluation["self_reported"] = claim.read_text()
arguments.out.write_text(json.dumps(evaluation))
