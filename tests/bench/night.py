"""What a long night costs. Run: python -m tests.bench.night [--memory RUNS] [--sandbox ROUNDS] [--real]

--memory: resident memory of the orchestrator while one idea completes RUNS runs of an experiment that does nothing;
with --real each is a supervised process, else it ends as it starts. Growth counts from the 50th run on.
--sandbox: one step that does nothing, from start to its exit record, without and in each sandbox, interleaved.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from agent.core.journal.action_results import Published
from agent.core.journal.events import Event, Finished
from agent.core.journal.state import State
from agent.edges.run.local_runner import LocalRunner
from agent.edges.run.runner import Exited
from agent.edges.run.step_folder import StepSpec
from agent.edges.sandbox.choose import NO_SANDBOX, Sandbox, choose_sandbox
from agent.edges.sandbox.walls import Bounds, WantedWalls
from agent.edges.workspace.journal import Journal
from agent.errors import UsageError
from tests.bench.study import Alternating, make_loop, real_runner

SETTLED_RUN = 50
GOAL_MIB, GOAL_MS = 20, 50
PROGRAM = "pass"


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure_memory(runs: int, *, real: bool) -> None:
    """Print resident memory along the runs, and what of the time the journal took."""
    held: dict[int, float] = {}
    stored_s = [0.0]
    append, put = Journal.append, Journal.put

    def timed(method: object) -> object:
        def call(*arguments: object) -> object:
            begun = time.perf_counter()
            try:
                return method(*arguments)  # type: ignore[operator]
            finally:
                stored_s[0] += time.perf_counter() - begun

        return call

    Journal.append, Journal.put = timed(append), timed(put)  # type: ignore[method-assign, assignment]

    def watch(event: Event, state: State) -> None:
        if isinstance(event, Finished) and isinstance(event.result, Published):
            run = event.result.run
            if run == SETTLED_RUN or run % 100 == 0:
                held[run] = resident_mib()
                print(f"run {run:5}: {held[run]:7.1f} MiB", flush=True)

    with tempfile.TemporaryDirectory() as name:
        runner = real_runner() if real else None
        workspace, loop = make_loop(Path(name), Alternating(), max_runs=runs, runner=runner, watch=watch)
        begun = time.perf_counter()
        assert loop.run().completed_runs == runs
        wall_s = time.perf_counter() - begun
        size_mib = sum(p.stat().st_size for p in (workspace.path / ".agent").rglob("*") if p.is_file()) / 2**20
    growth = max(held.values()) - held[min(held)]
    print(f"growth after run {min(held)}: {growth:.1f} MiB   (goal {GOAL_MIB}); .agent {size_mib:.0f} MiB")
    print(f"journal and blobs a run: {stored_s[0] / runs * 1e3:.1f} ms   (goal 100) of {wall_s / runs * 1e3:.0f} ms")


def one_step_s(root: Path, number: int, sandbox: Sandbox, spent: dict[str, list[float]]) -> None:
    """Supervise one step and note its time: the whole, as its starter sees it, and the command's own."""
    folder = root / f"{sandbox.kind}-{number}"
    for part in ("work", "home"):
        (folder / part).mkdir(parents=True)
    env = {"PATH": "/usr/bin:/bin", "HOME": str(folder / "home")}
    python = Path(sys.executable)
    begun = time.perf_counter()
    own = (str(folder / "work"), str(folder / "home"))
    walls = WantedWalls(sandbox.kind, interpreter=str(python), write=own, closed=(str(Path.home()),))
    argv = (str(python), "-I", "-S", "-c", PROGRAM)
    bounds = Bounds(8, 1024, 4, 8) if sandbox.kind != "off" else Bounds()
    runner = LocalRunner()
    runner.start(folder, StepSpec(argv, env, 60.0, 1.0, folder / "stop", walls, bounds))
    while not isinstance(status := runner.poll(folder), Exited):
        time.sleep(0.001)
    assert status.record.exit_code == 0, status.record
    spent[sandbox.kind].append(time.perf_counter() - begun)


def measure_sandbox(rounds: int) -> None:
    """Print the medians of interleaved rounds, and what each sandbox adds."""
    kinds = [NO_SANDBOX]
    for wanted in ("landlock", "bwrap"):
        try:
            kinds.append(choose_sandbox(wanted))
        except UsageError as error:
            print(error)
    spent: dict[str, list[float]] = {kind.kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory() as name:
        for number in range(rounds):
            for kind in kinds if number % 2 else reversed(kinds):
                one_step_s(Path(name), number, kind, spent)
    plain = spent["off"]
    for kind, times in spent.items():
        added = statistics.median(t - p for t, p in zip(times, plain, strict=True)) * 1e3
        ratio = statistics.median(times) / statistics.median(plain)
        print(
            f"{kind:9} {statistics.median(times) * 1e3:7.1f} ms   adds {added:6.1f} ms   (goal {GOAL_MS})"
            f"   ratio {ratio:.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--memory", type=int, default=0, metavar="RUNS")
    parser.add_argument("--sandbox", type=int, default=0, metavar="ROUNDS")
    parser.add_argument("--real", action="store_true")
    args = parser.parse_args()
    if args.sandbox:
        measure_sandbox(args.sandbox)
    if args.memory:
        measure_memory(args.memory, real=args.real)


if __name__ == "__main__":
    main()
