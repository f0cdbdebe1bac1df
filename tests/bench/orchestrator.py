"""What the orchestrator itself costs. Run: python -m tests.bench.orchestrator [RUNS]

own time a run: wall minus model minus supervised steps, on real processes. The rest on a workspace of RUNS runs (200).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from agent.core.failure.record import ExitRecord
from agent.core.journal.action_results import Applied, Asked, Closed, Linted, Opened, Published
from agent.core.journal.budget import Limits
from agent.core.journal.events import Event, Finished, Started
from agent.core.journal.fold import fold
from agent.core.journal.kinds import Intent, Step
from agent.edges.workspace.journal import Journal
from tests.bench.study import Alternating, make_loop, median_s, real_runner

SCIENTIST = Path(sys.executable).parent / "scientist"


def own_time_a_run_s(root: Path, runs: int) -> float:
    """Seconds of the orchestrator's own for each completed run; plots and notes included."""
    _, loop = make_loop(root, Alternating(), max_runs=runs, runner=real_runner())
    begun = time.perf_counter()
    state = loop.run()
    wall_s = time.perf_counter() - begun
    assert state.completed_runs == runs
    return (wall_s - state.spent.model_s - state.spent.step_s) / runs


def events_of_runs(first: Event, runs: int) -> list[Event]:
    """The events of an idea that completes `runs` runs, as the loop would store them."""
    events: list[Event] = [first]
    record = ExitRecord(0, None, False, False, 60.0, 1.0, 0.1)
    for run in range(1, runs + 1):
        folder = f"run_{run}.1"
        results = (
            Asked(request="0" * 64, reply="1" * 64, model="m", tokens_in=7000, tokens_out=400, cost_usd=0.01),
            Applied(intent=Intent.RUN, commit=f"{run:040x}", changed=("experiment.py",), subject="Run", code=f"{run}"),
            Linted(),
            Opened(step=Step.SMOKE, folder=folder + ".smoke"),
            Closed(step=Step.SMOKE, folder=folder + ".smoke", exit=record, values={"final_loss": 0.1}, seconds=1.0),
            Opened(step=Step.RUN, folder=folder),
            Closed(step=Step.RUN, folder=folder, exit=record, values={"final_loss": 0.1}, seconds=1.0),
            Opened(step=Step.EVALUATE, folder=folder + ".evaluate"),
            Closed(step=Step.EVALUATE, folder=folder + ".evaluate", exit=record, values={"score": 0.5}, seconds=1.0),
            Published(run=run, tag=f"run/{run}", commit=f"{run:040x}", values={"score": 0.5}, seed=run),
        )
        for number, result in enumerate(results):
            key = f"{run}-{number}"
            events += [Started(key, type(result).__name__, run, 1, 0), Finished(key, result)]
    return events


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        print(f"own time a run             {own_time_a_run_s(root, 4):8.3f} s   (goal 1)")
        empty = median_s(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True), 9)
        shown = median_s(lambda: subprocess.run([SCIENTIST, "--help"], check=True, capture_output=True), 9)
        print(f"scientist --help           {shown:8.3f} s   (goal 0.3; python -c pass {empty:.3f})")

        workspace, loop = make_loop(root, Alternating(), max_runs=runs)
        begun = time.perf_counter()
        state = loop.run()
        instant_s = (time.perf_counter() - begun) / runs
        assert state.completed_runs == runs
        print(f"own time an instant run    {instant_s:8.3f} s   over {runs} runs")
        history = [SCIENTIST, "history", str(workspace.path), "--json"]
        took = median_s(lambda: subprocess.run(history, check=True, capture_output=True), 5)
        print(f"history --json             {took:8.3f} s   (goal 0.5) on {runs} runs")

        (root / "append").mkdir()
        journal = Journal(root / "append")
        events = events_of_runs(loop.journal.events[0], 500)
        times = []
        for event in events:
            begun = time.perf_counter()
            journal.append(event)
            times.append(time.perf_counter() - begun)
        times.sort()
        p99 = times[int(len(times) * 0.99)] * 1e3
        print(f"journal append, median     {times[len(times) // 2] * 1e3:8.2f} ms  (goal 5), p99 {p99:.2f} ms")
        read = median_s(lambda: Journal(root / "append"), 3)
        folded = median_s(lambda: fold(journal.events), 3)
        print(f"fold of {len(events)} events       {folded:8.3f} s   (goal 1), reading and checking them {read:.3f} s")
        assert fold(journal.events).limits == Limits(max_runs=runs)


if __name__ == "__main__":
    main()
