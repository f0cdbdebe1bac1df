"""Gradient descent on (x - target)^2."""

import argparse
import json
import os
import random
import time
from pathlib import Path

LR = 0.02  # search: log 1e-3..0.4
MOMENTUM = 0.0  # search: 0.0..0.9


class Trainer:
    """Plain gradient descent with momentum."""

    def __init__(self, start, lr=0.1, momentum=0.0):
        self.x = start
        self.lr = lr
        self.momentum = momentum
        self.velocity = 0.0

    def step(self, target):
        gradient = 2 * (self.x - target)
        self.velocity = self.momentum * self.velocity - self.lr * gradient
        self.x += self.velocity
        return (self.x - target) ** 2


def run_training(profile, seed):
    random.seed(seed)
    trainer = Trainer(random.gauss(0.0, 1.0), lr=LR, momentum=MOMENTUM)
    losses = [trainer.step(profile["target"]) for _ in range(profile["steps"])]
    return trainer, losses


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out_dir", required=True)
    out = Path(parser.parse_args().out_dir)
    out.mkdir(exist_ok=True)
    profile = json.loads(Path("profile.json").read_text())
    if os.environ.get("SCIENTIST_SMOKE"):
        profile["steps"] = 3
    else:
        time.sleep(profile.get("pause_s", 0.0))
    trainer, losses = run_training(profile, int(os.environ["SCIENTIST_SEED"]))
    with (out / "metrics.jsonl").open("w") as file:
        for step, loss in enumerate(losses):
            file.write(json.dumps({"step": step, "name": "loss", "value": loss}) + "\n")
    (out / "state.json").write_text(json.dumps({"x": trainer.x}))
    (out / "final_info.json").write_text(json.dumps({"final_loss": losses[-1], "steps": profile["steps"]}))


if __name__ == "__main__":
    main()
