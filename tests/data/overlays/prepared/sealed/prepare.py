"""Samples around a hidden target: half to train on, half to evaluate with.

hidden.pause_s makes it slow and hidden.fail makes it fail; HF_REVISION stands for a data set's revision.
"""

import argparse
import fcntl
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

PIDS = "pids"


def make(hidden, folder):
    """Write the samples of one half; the folder appears whole or not at all."""
    building = folder.with_name(f".{folder.name}")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    draw = random.Random(f"{hidden['seed']} {folder.parent.name}")
    samples = [hidden["target"] + draw.gauss(0.0, 0.1) for _ in range(hidden["samples"])]
    (building / "samples.json").write_text(json.dumps(samples))
    building.rename(folder)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    arguments = parser.parse_args()
    started = time.monotonic()
    hidden = json.loads(arguments.profile.read_text())["hidden"]
    if hidden["samples"] < 1:
        print("looking for samples", file=sys.stderr)
        print("prepare.py: error: hidden.samples is 0; set it to at least 1", file=sys.stderr)
        sys.exit(1)
    if hidden.get("fail"):
        raise RuntimeError("the script is broken")
    revision = os.environ.get("HF_REVISION", "main")
    key = hashlib.sha256(json.dumps([hidden, revision]).encode()).hexdigest()[:16]
    folders = {name: arguments.store / name / key for name in ("training", "evaluation")}
    with (arguments.store / f"{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        missing = [folder for folder in folders.values() if not folder.is_dir()]
        if missing and hidden.get("pause_s"):
            child = subprocess.Popen(["sleep", str(hidden["pause_s"])])
            (arguments.store / PIDS).write_text(f"{os.getpid()} {child.pid}")
            print("making samples\r 50%", file=sys.stderr, flush=True)
            child.wait()
        for folder in missing:
            make(hidden, folder)
    size = sum(path.stat().st_size for folder in folders.values() for path in folder.iterdir())
    print("samples are ready", file=sys.stderr)
    seconds = time.monotonic() - started
    answer = {name: str(folder) for name, folder in folders.items()}
    print(json.dumps(answer | {"bytes": size, "made": bool(missing), "seconds": seconds}))


if __name__ == "__main__":
    main()
