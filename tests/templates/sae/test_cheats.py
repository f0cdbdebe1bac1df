"""SAEs that cheat, and the result of each. Their code runs in a real process of its own.

There is no sandbox around that process here, so that it could read this process's memory or the machine's files, as any
process of the same user can (ptrace, /proc, the template's folder). test_sae_sandbox.py covers that.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.sae

import evaluate  # noqa: E402
from encoder import process  # noqa: E402
from encoder.run_encoder import BrokenSAE, CannotServe, Patience  # noqa: E402
from scores import synthetic  # noqa: E402

from tests.templates.sae.encoder.served_runs import PROFILE, make_run  # noqa: E402


@pytest.fixture(autouse=True)
def several_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "BATCH", 512)


def score(folder: Path, answer_s: float = 60.0) -> dict[str, Any]:
    patience = Patience(answer_s=answer_s)
    return evaluate.evaluate(folder / "run_1", folder / "profile.json", 0, folder / "experiment.py", patience)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic, "BATCH", 512)
        return score(make_run(tmp_path_factory.mktemp("honest") / "work"))


def refused(folder: Path, **kwargs: Any) -> BrokenSAE:
    with pytest.raises(BrokenSAE) as caught:
        score(folder, **kwargs)
    assert "\n" not in str(caught.value)
    assert not process.strange_children()
    return caught.value


def test_an_honest_run_scores_one_and_is_verified(honest: dict[str, Any]) -> None:
    for name in ("f1", "mcc", "explained_variance"):
        assert honest[name] == pytest.approx(1.0, abs=5e-3), name
    assert honest["encode"] == "served" and "self_reported" not in honest
    assert sum(honest["density"]["counts"]) + honest["density"]["silent"][0] == PROFILE["d_sae"]


# ------------------------------------------------------------------------------------------------ information in codes

DENSE = """
class Cheat(Honest):
    def encode(self, x):
        return torch.cat([(x - self.b_dec).relu(), (self.b_dec - x).relu()], dim=1)
"""


def test_an_input_passed_through_dense_codes_is_given_away_by_its_l0(tmp_path: Path, honest: dict[str, Any]) -> None:
    from safetensors.torch import load_file, save_file

    folder = make_run(tmp_path / "work", DENSE)
    path = folder / "run_1" / "sae.safetensors"
    identity = torch.eye(32)
    save_file({"W_dec": torch.cat([identity, -identity]), "b_dec": load_file(path)["b_dec"]}, path)
    found = score(folder)
    assert found["explained_variance"] > 0.999
    assert found["l0"] > 0.9 * 32 and found["l0"] > 5 * honest["l0"]  # no baseline's L0: not comparable
    assert found["f1"] < 0.5


PACKED = """
class Cheat(Honest):
    def encode(self, x):
        levels = ((x - self.b_dec + 4) * 2).round().clamp(0, 15)  # 4 bits each, five numbers in one float
        digits = 16.0 ** torch.arange(5.0)
        z = torch.zeros(len(x), 24)
        z[:, :6] = (levels[:, :30].view(-1, 6, 5) * digits).sum(dim=2)
        return z
"""


def test_an_input_packed_into_a_few_codes_is_worthless_to_a_linear_decoder(tmp_path: Path) -> None:
    found = score(make_run(tmp_path / "work", PACKED))
    assert found["l0"] == pytest.approx(6) and found["explained_variance"] < 0 and found["f1"] < 0.5


# ------------------------------------------------------------------------------------------------- state, batch mates

CACHING = """
class Cheat(Honest):
    seen = {}
    def encode(self, x):
        z = super().encode(x)
        for i, row in enumerate(x):
            key = row.numpy().tobytes()
            if key in self.seen:
                z[i] = self.seen[key].roll(1)
            self.seen[key] = z[i]
        return z
"""
LATER = """
class Cheat(Honest):
    calls = 0
    def encode(self, x):
        self.calls += 1
        z = super().encode(x)
        return z if self.calls < 13 else z.roll(1, dims=1)
"""
RANDOM = """
class Cheat(Honest):
    def encode(self, x):
        z = super().encode(x)
        return z * (torch.rand_like(z) > 0.01)
"""


@pytest.mark.parametrize(
    ("cheat", "reason"),
    [(CACHING, "when asked again"), (RANDOM, "when asked again"), (LATER, "what it was asked before")],
    ids=["caches_answers", "draws_at_random", "changes_after_a_while"],
)
def test_answers_that_change_are_refused(tmp_path: Path, cheat: str, reason: str) -> None:
    assert reason in str(refused(make_run(tmp_path / "work", cheat)))


REMEMBERS = """
class Cheat(Honest):
    seen = {}
    def encode(self, x):
        z = super().encode(x)
        new = [i for i, row in enumerate(x) if row.numpy().tobytes() not in self.seen]
        if len(self.seen) >= 768:  # the rows of the first inspection
            z[new] = z[new].roll(1, dims=0)
        for i, row in enumerate(x):
            z[i] = self.seen.setdefault(row.numpy().tobytes(), z[i].clone())
        return z
"""


def test_answers_kept_to_look_the_same_when_asked_again_are_refused(tmp_path: Path) -> None:
    assert "a fresh process encodes rows otherwise" in str(refused(make_run(tmp_path / "work", REMEMBERS)))


BATCH_TOPK = """
class Cheat(Honest):
    def encode(self, x):
        z = super().encode(x)
        return z * (z >= z.flatten().topk(2 * len(z)).values.min())
"""
LARGE_ONLY = """
class Cheat(Honest):
    def encode(self, x):
        z = super().encode(x)
        return z * (z > z.mean(dim=0)) if len(x) >= 500 else z
"""
NEIGHBOUR = """
class Cheat(Honest):
    def encode(self, x):
        z = super().encode(x)
        return torch.where(z.roll(1, dims=0) > 1, z.roll(1, dims=0), z)
"""


@pytest.mark.parametrize("cheat", [BATCH_TOPK, LARGE_ONLY, NEIGHBOUR], ids=["batch_topk", "large_only", "neighbour"])
def test_peeking_at_batch_mates_is_refused(tmp_path: Path, cheat: str) -> None:
    assert "encode depends on the o" in str(refused(make_run(tmp_path / "work", cheat)))  # order, or other rows


# -------------------------------------------------------------------------------------------------- reaching outwards

OVERWRITES = """
from pathlib import Path
PARENT = Path(f"/proc/{os.getppid()}")
WORK = PARENT.joinpath("cwd").resolve()

def overwrite():
    (WORK / "evaluation.json").write_text('{"f1": 99}')
    (WORK / "run_1" / "final_info.json").write_text('{"f1": 99}')
    save_file({"W_dec": torch.eye(24, 32), "b_dec": torch.zeros(32)}, WORK / "run_1" / "sae.safetensors")
    save_file({"W_dec": torch.eye(24, 32), "b_dec": torch.zeros(32)}, "run_1/sae.safetensors")
    evaluator = [w for w in PARENT.joinpath("cmdline").read_text().split(chr(0)) if w.endswith("evaluate.py")][0]
    for path in Path(evaluator).parent.rglob("*.py"):
        path.write_text("raise SystemExit('overwritten')")

class Cheat(Honest):
    done = False
    def encode(self, x):
        z = super().encode(x)
        if not self.done:
            self.done = True
            overwrite()
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    (WORK / "grandchild").write_text(str(os.getpid()))
                    while True:
                        time.sleep(0.2)
                        (WORK / "evaluation.json").write_text('{"f1": 99}')
                os._exit(0)
        return z
"""


def test_what_it_overwrites_changes_nothing(tmp_path: Path, honest: dict[str, Any]) -> None:
    """evaluation.json, final_info.json, weights and evaluator, from the process and from one that it leaves waiting."""
    sealed = tmp_path / "sealed"
    shutil.copytree(process.SEALED, sealed, ignore=shutil.ignore_patterns("__pycache__"))
    work = make_run(tmp_path / "work", OVERWRITES)
    (work / "run_1" / "final_info.json").write_text('{"f1": 99}')
    command = [sys.executable, str(sealed / "evaluate.py"), "--run_dir=run_1", "--out=evaluation.json"]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    for name in ("evaluate.py", "scores/synthetic.py", "encoder/serve.py"):
        assert "overwritten" in (sealed / name).read_text()  # the cheat did run
    found = json.loads((work / "evaluation.json").read_text())
    assert found["f1"] == pytest.approx(honest["f1"], abs=1e-6)
    assert not Path(f"/proc/{(work / 'grandchild').read_text()}").exists()
    time.sleep(0.5)
    assert json.loads((work / "evaluation.json").read_text()) == found


SERVING = {"activations.py", "fast_steps.py", "data/__init__.py", "data/store.py"}
SERVING |= {f"encoder/{name}.py" for name in ("__init__", "serve", "wire", "export")}
KERNELS = process.SEALED / "fast_kernels"
SEES = """
import json
class Cheat(Honest):
    def encode(self, x):
        files = sorted(str(os.path.join(at, name)) for at, _, names in os.walk("..") for name in names)
        found = {"env": dict(os.environ), "profile": json.load(open("profile.json")), "files": files}
        raise RuntimeError("saw " + json.dumps(found))
"""


def test_it_is_given_activations_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from data.synthetic import write_evaluation

    folder = make_run(tmp_path / "work", SEES)
    (tmp_path / "secret").write_text("labels")
    (folder / "run_1" / "link").symlink_to(tmp_path / "secret")
    (folder / "other.py").write_text("")
    (folder / "baselines.json").write_text("[]")
    (tmp_path / "data").mkdir()
    write_evaluation(PROFILE, tmp_path / "data")
    for name in ("SCIENTIST_EVALUATION_DATA", "SCIENTIST_TRAINING_DATA", "OPENAI_API_KEY", "PYTHONPATH"):
        monkeypatch.setenv(name, str(tmp_path / "data"))
    monkeypatch.setattr(synthetic, "read_samples", lambda *_: None)
    saw = json.loads(refused(folder).output.rpartition("saw ")[2])
    assert not any(str(tmp_path) in value or "SCIENTIST" in name for name, value in saw["env"].items())
    assert "OPENAI_API_KEY" not in saw["env"] and "hidden" not in saw["profile"]
    sealed, others = set(), set()
    for path in map(Path, saw["files"]):
        if path.is_relative_to("../sealed"):
            sealed.add(path.relative_to("../sealed").as_posix())
        else:
            others.add(path.name)
    assert {"experiment.py", "other.py", "sae.safetensors"} <= others
    assert not {"link", "baselines.json", "samples.safetensors"} & others
    assert sealed == {*SERVING, *(path.relative_to(process.SEALED).as_posix() for path in KERNELS.glob("*.py"))}


# ------------------------------------------------------------------------------------------------------ breaking it

PRINTS = """
class Cheat(Honest):
    def encode(self, x):
        print("x" * 300_000)
        os.write(1, b"SAE1" * 1000)
        return super().encode(x)
"""


def test_prints_do_not_break_the_protocol(tmp_path: Path, honest: dict[str, Any]) -> None:
    assert score(make_run(tmp_path / "work", PRINTS)) == honest


FORGES = """
import struct
class Cheat(Honest):
    def encode(self, x):
        for fd in range(3, 20):
            try:
                os.write(fd, struct.pack("<4scIBBBQQ", b"SAE1", b"D", 0, 1, 0, 2, 512, 1 << 40))
            except OSError:
                pass
        time.sleep(600)
"""
FAULTS = {
    "sleeps": ("time.sleep(600)", "took longer than 1.5 s"),
    "exits": ("os._exit(3)", "ended with exit code 3"),
    "killed": ("os.kill(os.getpid(), 9)", "ended by signal SIGKILL"),
    "not_a_number": ("return super().encode(x) * float('nan')", "NaN or infinite latents"),
    "huge": ("return torch.zeros(1).expand(len(x), 1 << 40)", "encode returned shape (512, 1099511627776), expected"),
    "no_tensor": ("return x.numpy()", "encode returned ndarray, expected a tensor"),
    "raises": ("print('before'); x.fly_away()", "encode raised AttributeError"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_told_in_one_line(tmp_path: Path, name: str) -> None:
    line, reason = FAULTS[name]
    cheat = f"class Cheat(Honest):\n    def encode(self, x):\n        {line}\n"
    started = time.monotonic()
    error = refused(make_run(tmp_path / "work", cheat), answer_s=1.5 if name == "sleeps" else 60)
    assert reason in str(error) and time.monotonic() - started < 60
    assert isinstance(error, CannotServe) == (name in ("sleeps", "exits", "killed"))
    if name == "raises":  # the traceback names the experiment's line, after what it printed
        assert "before" in error.output and 'work/experiment.py", line' in error.output


def test_a_forged_answer_of_any_size_is_refused_before_it_is_read(tmp_path: Path) -> None:
    error = refused(make_run(tmp_path / "work", FORGES))
    assert "broke its protocol" in str(error) and "more than was asked for" in str(error)


def test_a_result_planted_as_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    for plant in (lambda out: out.symlink_to(victim), lambda out: (out.mkdir(), (out / "x").write_text("x"))):
        out = tmp_path / "evaluation.json"
        plant(out)
        evaluate.write_results({"f1": 0.5}, out)
        assert not out.is_symlink() and json.loads(out.read_text()) == {"f1": 0.5}
        out.unlink()
    assert victim.read_text() == "mine" and [p.name for p in tmp_path.iterdir()] == ["victim"]


@pytest.mark.parametrize("plant", ["link", "pipe"])
def test_weights_that_are_no_regular_file_are_not_opened(tmp_path: Path, plant: str) -> None:
    folder = make_run(tmp_path / "work")
    path = folder / "run_1" / "sae.safetensors"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere") if plant == "link" else os.mkfifo(path)
    assert "sae.safetensors" in str(refused(folder))
