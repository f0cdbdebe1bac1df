"""Score of a run: exp(-|x - target|)."""

import argparse
import json
import math
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--run_dir", type=Path, required=True)
parser.add_argument("--out", type=Path, required=True)
arguments = parser.parse_args()
x = json.loads((arguments.run_dir / "state.json").read_text())["x"]
target = json.loads(Path("profile.json").read_text())["target"]
arguments.out.write_text(json.dumps({"score": math.exp(-abs(x - target))}))
