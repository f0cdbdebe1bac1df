"""Makes baselines/<profile>/topk-seed*.json by running the untouched experiment.py and the sealed evaluator.

    python templates/sae/baselines/make.py --python PATH [--profile synth] [--seeds 0 1 2 3 4]

--python is an interpreter in which the template's requirements.txt is installed. Each seed runs in a temporary folder
laid out as the orchestrator lays out a run, with the same commands and variables. Seeds that have a file already are
skipped, so an interrupted call can be repeated; delete a file to make it again (and all of them after a change of
experiment.py, the profile or the evaluator). For one seed and one set of pins the numbers repeat on the same machine,
apart from the seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
import tomllib
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[1]


def run_once(python: Path, profile: str, seed: int) -> tuple[dict, dict]:
    """(final_info, evaluation) of one fresh run.

    Raises: subprocess.CalledProcessError if the run or its evaluation fails.
    """
    spec = tomllib.loads((TEMPLATE / "template.toml").read_text())
    with tempfile.TemporaryDirectory(prefix="sae-baseline-") as folder:
        work = Path(folder) / "work"
        home = Path(folder) / "home"
        work.mkdir()
        home.mkdir()
        shutil.copy(TEMPLATE / "experiment.py", work)
        shutil.copy(TEMPLATE / "profiles" / f"{profile}.json", work / "profile.json")
        sealed = TEMPLATE / "sealed"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PYTHONPATH": str(sealed),
            "PYTHONDONTWRITEBYTECODE": "1",
            "SCIENTIST_SEED": str(seed),
            **spec["environment"]["variables"],
        }
        evaluate = spec["evaluate"]["command"].format(sealed=sealed, out_dir="run_0", evaluation="evaluation.json")
        for command in ("python experiment.py --out_dir=run_0", evaluate):
            subprocess.run([python, *command.split()[1:]], cwd=work, env=environment, check=True)
        final_info = json.loads((work / "run_0" / "final_info.json").read_text())
        return final_info, json.loads((work / "evaluation.json").read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--profile", default="synth")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    args = parser.parse_args()
    folder = TEMPLATE / "baselines" / args.profile
    folder.mkdir(parents=True, exist_ok=True)
    for seed in args.seeds:
        path = folder / f"topk-seed{seed}.json"
        if path.exists():
            print(f"{path.name}: already there")
            continue
        final_info, evaluation = run_once(args.python.absolute(), args.profile, seed)
        row = {
            "name": "topk",
            "seed": seed,
            "profile": args.profile,
            "final_info": final_info,
            "evaluation": evaluation,
        }
        partial = path.with_suffix(".part")
        partial.write_text(json.dumps(row, indent=1) + "\n")
        partial.replace(path)
        print(f"{path.name}: f1 {evaluation['f1']:.4f}, l0 {evaluation['l0']:.2f}")


if __name__ == "__main__":
    main()
