"""Training scripts of many kinds, as people write them, with what their text tells."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent

__all__ = ["KINDS", "Kind"]


@dataclass(frozen=True)
class Kind:
    """A script with the modules beside it, and what is to be read in it."""

    files: dict[str, str]
    # How it reads its options.
    options: str
    # Names of the results that count most, and how they are known.
    results: tuple[str, ...]
    # "printed", "logged", ...
    known: str
    # The variable that counts the loop of its curve, "" if there is none.
    counter: str = ""
    # The setting that makes a run short, with its value.
    length: tuple[str, int] | None = None
    # Search ranges, at least these.
    ranges: tuple[str, ...] = ()
    # Of the first call that takes a seed.
    seeded: str = ""
    # The end of its command.
    folder: str = "--out_dir={out_dir}"


def one(text: str, /, **more: str) -> dict[str, str]:
    """The script, and modules by their name."""
    return {"experiment.py": dedent(text)} | {f"{name}.py": dedent(other) for name, other in more.items()}


KINDS = {
    "argparse": Kind(
        one(
            '''
            """Digits."""
            import argparse
            import torch
            import torch.nn.functional as F

            def test(model, loader):
                loss, correct = 0, 0
                for x, y in loader:
                    loss += F.nll_loss(model(x), y).item()
                    correct += (model(x).argmax(1) == y).sum().item()
                loss /= len(loader.dataset)
                print('\\nTest set: Average loss: {:.4f}, Accuracy: {}/{} ({:.0f}%)\\n'.format(
                    loss, correct, len(loader.dataset),
                    100. * correct / len(loader.dataset)))

            def main():
                parser = argparse.ArgumentParser()
                parser.add_argument('--batch-size', type=int, default=64)
                parser.add_argument('--test-batch-size', type=int, default=1000)
                parser.add_argument('--epochs', type=int, default=14)
                parser.add_argument('--lr', type=float, default=20)
                parser.add_argument('--gamma', type=float, default=0.99)
                parser.add_argument('--seed', type=int, default=1)
                args = parser.parse_args()
                torch.manual_seed(args.seed)
                for epoch in range(args.epochs):
                    test(None, [])

            if __name__ == '__main__':
                main()
            '''
        ),
        "argparse", ("test_loss", "test_accuracy"), "printed",
        length=("epochs", 14), ranges=("lr log 2..200", "gamma 0.9..0.999", "batch_size int 16..256"),
        seeded="torch.manual_seed(args.seed)",
    ),
    "constants": Kind(
        one(
            """
            import numpy as np

            LR = 3e-2  # the step
            MOMENTUM = 0.9
            STEPS = 200
            step = 0
            rng = np.random.default_rng(0)
            w = rng.normal(size=3)
            while step < STEPS:
                w -= LR * w
                step += 1
            print(f"final mse: {float((w ** 2).mean()):.5f}")
            """
        ),
        "", ("final_mse",), "printed", length=("STEPS", 200),
        ranges=("LR log 0.003..0.3", "MOMENTUM 0.5..0.99"), seeded="np.random.default_rng(0)",
    ),
    "configuration file": Kind(
        one(
            """
            import json
            import numpy as np
            import yaml

            with open("config.yaml") as file:
                cfg = yaml.safe_load(file)
            rng = np.random.RandomState(cfg["seed"])
            w = rng.normal(size=cfg["width"])
            results = {"final_val_mse": float((w ** 2).mean()), "r2": 0.5}
            json.dump(results, open("results.json", "w"))
            """
        ),
        "", ("final_val_mse", "r2"), "written as JSON", seeded="np.random.RandomState(cfg['seed'])",
    ),
    "a dictionary printed": Kind(
        one(
            """
            import json
            import random

            def evaluate(rows):
                metrics = {"n": len(rows)}
                metrics["accuracy"] = sum(rows) / len(rows)
                metrics["f1"] = 0.5
                return metrics

            def main():
                random.seed(3)
                metrics = {"accuracy": random.random(), "log_loss": random.random()}
                print(json.dumps(metrics, indent=2))

            main()
            """
        ),
        "", ("accuracy", "log_loss"), "a dictionary printed", seeded="random.seed(3)",
    ),
    "Trainer": Kind(
        one(
            """
            from dataclasses import dataclass
            from transformers import HfArgumentParser, Trainer, TrainingArguments, set_seed

            @dataclass
            class ModelArguments:
                name: str = "bert"

            def compute_metrics(predictions):
                return {"accuracy": 0.5, "f1": 0.5}

            def main():
                parser = HfArgumentParser((ModelArguments, TrainingArguments))
                model_args, training_args = parser.parse_args_into_dataclasses()
                set_seed(training_args.seed)
                trainer = Trainer(model=None, args=training_args)
                trainer.train()
                metrics = trainer.evaluate()
                trainer.log_metrics("eval", metrics)

            if __name__ == "__main__":
                main()
            """
        ),
        "HfArgumentParser", ("eval_loss", "eval_accuracy", "eval_f1"), "of the trainer",
        seeded="set_seed(training_args.seed)", folder="--output_dir={out_dir}",
    ),
    "Lightning": Kind(
        one(
            """
            import lightning as L
            from lightning.pytorch.cli import LightningCLI

            class Net(L.LightningModule):
                def __init__(self, lr: float = 1e-3):
                    super().__init__()

                def training_step(self, batch, index):
                    loss = self.net(batch)
                    self.log("train_loss", loss)
                    return loss

                def validation_step(self, batch, index):
                    self.log("val_acc", self.score(batch))

            def main():
                cli = LightningCLI(Net)

            main()
            """
        ),
        "LightningCLI", ("train_loss", "val_acc"), "of the trainer", folder="fit --trainer.default_root_dir={out_dir}",
    ),
    "Lightning with Trainer.test": Kind(
        one(
            """
            import pytorch_lightning as pl

            class Net(pl.LightningModule):
                def test_step(self, batch, index):
                    self.log("test/acc", 0.5)

            pl.seed_everything(42, workers=True)
            trainer = pl.Trainer(max_epochs=10)
            trainer.fit(Net())
            trainer.test(Net())
            """
        ),
        "", ("test_acc",), "of the trainer", length=("max_epochs", 10), seeded="pl.seed_everything(42)",
    ),
    "hydra": Kind(
        one(
            """
            import hydra
            import lightning as L
            from omegaconf import DictConfig

            @hydra.main(version_base="1.3", config_path="conf", config_name="train")
            def main(cfg: DictConfig) -> float:
                if cfg.get("seed"):
                    L.seed_everything(cfg.seed, workers=True)
                loss = float(cfg.lr)
                print(f"best val loss = {loss:.4f}")
                return loss

            if __name__ == "__main__":
                main()
            """
        ),
        "hydra", ("best_val_loss",), "printed", seeded="L.seed_everything(cfg.seed)", folder="hydra.run.dir={out_dir}",
    ),
    "tyro": Kind(
        one(
            """
            import random
            from dataclasses import dataclass
            import tyro
            from torch.utils.tensorboard import SummaryWriter

            @dataclass
            class Args:
                seed: int = 1
                total_timesteps: int = 500000
                learning_rate: float = 2.5e-4
                gamma: float = 0.99
                gae_lambda: float = 0.95
                tau: float = 1.0

            if __name__ == "__main__":
                args = tyro.cli(Args)
                random.seed(args.seed)
                writer = SummaryWriter("runs")
                for global_step in range(args.total_timesteps):
                    writer.add_scalar("charts/episodic_return", random.random(), global_step)
                    writer.add_scalar("losses/approx_kl", 0.1, global_step)
                    writer.add_scalar("charts/SPS", 10, global_step)
            """
        ),
        "tyro", ("episodic_return",), "logged", counter="global_step", length=("total_timesteps", 500000),
        ranges=("learning_rate log 2.5e-05..0.0025", "gamma 0.9..0.999", "gae_lambda 0.5..0.995"),
        seeded="random.seed(args.seed)",
    ),
    "simple-parsing": Kind(
        one(
            """
            from dataclasses import dataclass
            import simple_parsing

            @dataclass
            class Options:
                dropout: float = 0.1
                epochs: int = 5

            options = simple_parsing.parse(Options)
            for epoch in range(options.epochs):
                print("epoch", epoch, "val_acc", 1 - options.dropout)
            """
        ),
        "simple_parsing", ("val_acc",), "printed", counter="epoch", length=("epochs", 5), ranges=("dropout 0..0.5",),
    ),
    "executed configurator": Kind(
        one(
            """
            import torch

            out_dir = 'out'
            learning_rate = 6e-4 # max learning rate
            max_iters = 600000 # total number of training iterations
            beta2 = 0.95
            exec(open('configurator.py').read()) # overrides from command line or config file
            torch.manual_seed(1337)
            iter_num = 0
            while True:
                losses = {'train': 1.0, 'val': 2.0}
                print(f"step {iter_num}: train loss {losses['train']:.4f}, val loss {losses['val']:.4f}")
                print(f"iter {iter_num}: time {1000:.2f}ms, mfu {10:.2f}%")
                iter_num += 1
                if iter_num > max_iters:
                    break
            """
        ),
        "configurator", ("train_loss", "val_loss"), "printed", counter="iter_num", length=("max_iters", 600000),
        ranges=("learning_rate log 6e-05..0.006", "beta2 0.5..0.995"), seeded="torch.manual_seed(1337)",
    ),
    "keras": Kind(
        one(
            """
            import keras

            keras.utils.set_random_seed(812)
            epochs = 15
            model = keras.Sequential([])
            model.compile(loss="categorical_crossentropy", metrics=["accuracy"])
            model.fit(None, None, batch_size=128, epochs=epochs, validation_split=0.1)
            score = model.evaluate(None, None, verbose=0)
            print("Test loss:", score[0])
            print("Test accuracy:", score[1])
            """
        ),
        "", ("test_accuracy",), "printed", length=("epochs", 15), seeded="keras.utils.set_random_seed(812)",
    ),
    "keras fit alone": Kind(
        one(
            """
            from tensorflow import keras

            model = keras.Sequential([])
            model.compile(loss="mse", metrics=["mae"])
            history = model.fit(None, None, epochs=20, validation_split=0.1)
            """
        ),
        "", ("val_loss", "val_mae", "loss", "mae"), "of keras", length=("epochs", 20),
    ),
    "accelerate": Kind(
        one(
            """
            import argparse
            import evaluate
            from accelerate import Accelerator
            from transformers import set_seed

            def training_function(config, args):
                accelerator = Accelerator()
                metric = evaluate.load("glue", "mrpc")
                set_seed(int(config["seed"]))
                for epoch in range(int(config["num_epochs"])):
                    eval_metric = metric.compute()
                    accelerator.print(f"epoch {epoch}:", eval_metric)

            def main():
                parser = argparse.ArgumentParser()
                parser.add_argument("--cpu", action="store_true")
                args = parser.parse_args()
                training_function({"lr": 2e-5, "num_epochs": 3, "seed": 42}, args)

            main()
            """
        ),
        "argparse", (), "a dictionary printed", seeded="set_seed(int(config['seed']))",
    ),
    "wandb": Kind(
        one(
            """
            import random
            import wandb

            def run(cfg):
                wandb.init(project="p", config=cfg)
                random.seed(cfg["seed"])
                for epoch in range(10):
                    loss, acc = random.random(), random.random()
                    wandb.log({"epoch": epoch, "train/loss": loss, "val/acc": acc})

            run({"seed": 1, "lr": 0.1})
            """
        ),
        "", ("train_loss", "val_acc"), "logged", counter="epoch", length=("epoch", 10),
        seeded="random.seed(cfg['seed'])",
    ),
    "tensorboard": Kind(
        one(
            """
            from torch.utils.tensorboard import SummaryWriter
            import torch

            torch.manual_seed(0)
            writer = SummaryWriter()
            for epoch in range(30):
                writer.add_scalar("Loss/val", 0.5, epoch)
                writer.add_scalar("lr", 0.1, epoch)
            """
        ),
        "", ("val_loss",), "logged", counter="epoch", length=("epoch", 30), seeded="torch.manual_seed(0)",
    ),
    "click": Kind(
        one(
            """
            import random
            import click

            @click.command()
            @click.option("--lr", default=0.1)
            @click.option("--momentum", default=0.9)
            @click.option("--epochs", default=3, type=int)
            def main(lr, momentum, epochs):
                random.seed(0)
                click.echo(f"accuracy={random.random():.3f}")

            if __name__ == "__main__":
                main()
            """
        ),
        "click", ("accuracy",), "printed", length=("epochs", 3), ranges=("lr log 0.01..1", "momentum 0.5..0.99"),
        seeded="random.seed(0)",
    ),
    "fire": Kind(
        one(
            """
            import fire
            import numpy as np

            def train(lr=0.05, steps=100, weight_decay=0.0):
                np.random.seed(0)
                print("error rate:", np.random.rand())

            if __name__ == "__main__":
                fire.Fire(train)
            """
        ),
        "fire", ("error_rate",), "printed", length=("steps", 100), ranges=("lr log 0.005..0.5", "weight_decay 0..0.1"),
        seeded="np.random.seed(0)",
    ),
    "absl": Kind(
        one(
            """
            from absl import app, flags, logging
            import jax

            FLAGS = flags.FLAGS
            flags.DEFINE_float("learning_rate", 0.1, "The learning rate.")
            flags.DEFINE_integer("num_epochs", 10, "Epochs.")

            def main(_):
                key = jax.random.PRNGKey(0)
                for epoch in range(FLAGS.num_epochs):
                    loss, accuracy = 0.1, 0.9
                    logging.info("epoch:% 3d, test_loss: %.4f, test_accuracy: %.2f", epoch, loss, accuracy * 100)

            if __name__ == "__main__":
                app.run(main)
            """
        ),
        "absl", ("test_loss", "test_accuracy"), "printed", counter="epoch", length=("num_epochs", 10),
        ranges=("learning_rate log 0.01..1",), seeded="jax.random.PRNGKey(0)",
    ),
    "class with main": Kind(
        one(
            """
            import logging
            import random

            logger = logging.getLogger(__name__)

            class Experiment:
                def __init__(self, seed=0):
                    self.rng = random.Random(seed)
                    self.best_acc = 0.0

                def run(self):
                    for epoch in range(5):
                        acc = self.rng.random()
                        if acc > self.best_acc:
                            self.best_acc = acc
                            logger.info("new best accuracy %.3f", acc)
                    logger.info("Validation accuracy: %.3f", self.best_acc)

            def main():
                Experiment().run()

            if __name__ == "__main__":
                main()
            """
        ),
        "", ("val_accuracy",), "printed", counter="epoch", length=("epoch", 5), seeded="random.Random(seed)",
    ),
    "several files": Kind(
        one(
            """
            import utils
            from options import get_args

            args = get_args()
            utils.seed_everything(args.seed)
            for epoch in range(args.epochs):
                loss = utils.train(args)
                print('epoch: {:d}, loss: {:.3f}'.format(epoch, loss))
            print('Test perplexity %.2f' % utils.evaluate(args))
            """,
            options="""
            import argparse

            def get_args():
                p = argparse.ArgumentParser()
                p.add_argument("--epochs", default=40, type=int)
                p.add_argument("--seed", default=0, type=int)
                p.add_argument("--save", default="model.pt")
                return p.parse_args()
            """,
            utils="""
            import argparse
            import random

            def seed_everything(seed):
                random.seed(seed)

            def train(args):
                return random.random()

            def evaluate(args):
                return 2.0

            if __name__ == "__main__":
                argparse.ArgumentParser().parse_args()
            """,
        ),
        "argparse", ("test_perplexity",), "printed", counter="epoch", length=("epochs", 40),
        seeded="utils.seed_everything(args.seed)",
    ),
    "sys.argv": Kind(
        one(
            """
            import random
            import sys

            lr = float(sys.argv[1])
            random.seed(0)
            score = random.random() * lr
            print(score)
            """
        ),
        "sys.argv", ("score",), "printed", seeded="random.seed(0)",
    ),
    "dataclass of settings": Kind(
        one(
            """
            from dataclasses import dataclass
            import numpy as np

            @dataclass
            class Config:
                lr: float = 0.1
                batch_size: int = 32
                n_epochs: int = 4
                seed: int = 0

            def main(cfg: Config = Config()):
                rng = np.random.default_rng(cfg.seed)
                for epoch in range(cfg.n_epochs):
                    val_loss = rng.random()
                    print(f"[{epoch}/{cfg.n_epochs}] val loss={val_loss:.3f} lr={cfg.lr:.1e}")

            main()
            """
        ),
        "", ("val_loss",), "printed", counter="epoch", length=("n_epochs", 4),
        ranges=("lr log 0.01..1", "batch_size int 8..128"), seeded="np.random.default_rng(cfg.seed)",
    ),
    "scikit-learn": Kind(
        one(
            """
            from sklearn.datasets import load_digits
            from sklearn.linear_model import LogisticRegression
            from sklearn.metrics import accuracy_score
            from sklearn.model_selection import train_test_split

            x, y = load_digits(return_X_y=True)
            x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0)
            clf = LogisticRegression(C=1.0, max_iter=1000, random_state=7).fit(x_train, y_train)
            accuracy = accuracy_score(y_test, clf.predict(x_test))
            """
        ),
        "", ("accuracy",), "a variable", length=("max_iter", 1000), seeded="LogisticRegression(7)",
    ),
    "reinforcement": Kind(
        one(
            """
            import gymnasium as gym
            import torch

            GAMMA = 0.99
            env = gym.make("CartPole-v1")
            torch.manual_seed(543)

            def main():
                running_reward = 10
                for i_episode in range(1000):
                    ep_reward = 1.0
                    running_reward = 0.05 * ep_reward + 0.95 * running_reward
                    if i_episode % 10 == 0:
                        print('Episode {}\\tLast reward: {:.2f}\\tAverage reward: {:.2f}'.format(
                              i_episode, ep_reward, running_reward))
                    if running_reward > env.spec.reward_threshold:
                        print("Solved! Running reward is now {}".format(running_reward))
                        break

            main()
            """
        ),
        "", ("last_reward", "reward"), "printed", counter="i_episode", ranges=("GAMMA 0.9..0.999",),
        seeded="torch.manual_seed(543)",
    ),
    "typer": Kind(
        one(
            """
            import typer

            def main(lr: float = 0.01, epochs: int = 2):
                print("auc: " + str(lr * epochs))

            if __name__ == "__main__":
                typer.run(main)
            """
        ),
        "typer", ("auc",), "printed", length=("epochs", 2), ranges=("lr log 0.001..0.1",), folder="--out-dir={out_dir}",
    ),
    "mlflow": Kind(
        one(
            """
            import mlflow
            import numpy as np

            def main():
                np.random.seed(2)
                rmse, r2 = np.random.rand(), np.random.rand()
                mlflow.log_metric("rmse", rmse)
                mlflow.log_metrics({"rmse": rmse, "r2": r2})

            main()
            """
        ),
        "", ("rmse", "r2"), "logged", seeded="np.random.seed(2)",
    ),
    "Trainer with settings in the code": Kind(
        one(
            """
            from transformers import Trainer, TrainingArguments

            training_args = TrainingArguments(output_dir="out", num_train_epochs=3, learning_rate=2e-5)
            trainer = Trainer(model=None, args=training_args)
            trainer.train()
            results = trainer.evaluate()
            print(results)
            """
        ),
        "", ("eval_loss",), "of the trainer", length=("num_train_epochs", 3), seeded="TrainingArguments()",
    ),
    "exported notebook": Kind(
        one(
            """
            # In[1]:
            get_ipython().run_line_magic('matplotlib', 'inline')
            import numpy as np

            # In[2]:
            loss = np.random.rand()
            print("validation loss", loss)
            """
        ),
        "", ("val_loss",), "printed",
    ),
}  # fmt: skip
