"""Publish a completed run: its outputs, its facts in notes.txt, and a tag that holds its metrics."""

from __future__ import annotations

from agent.core.code.search_marks import settings_of
from agent.core.decide import RecordSeeds
from agent.core.evidence.baseline import primary_metric, verdict_of
from agent.core.journal.action_results import Published
from agent.core.journal.kinds import Step
from agent.core.journal.replications import Replicated, Replication
from agent.core.journal.state import State
from agent.core.prompt.facts import run_facts, seed_facts
from agent.core.prompt.notes import append_facts
from agent.core.prompt.view import reference_of
from agent.edges.git.repo import metrics_message
from agent.edges.run.publish import publish_run
from agent.effects.commit import commit, trailers_of
from agent.effects.edges import Edges


def publish(edges: Edges, state: State, key: str) -> Published:
    """Copy the run's outputs beside the others, write its facts into notes.txt and tag its commit with its metrics."""
    assert state.attempt.candidate
    candidate, measured = state.attempt.candidate, state.attempt.candidate.measured
    folders = {step: edges.workspace.step_folder(name) for step, name in candidate.folders.items()}
    publish_run(edges.workspace, state.run.number, folders[Step.RUN], folders.get(Step.EVALUATE), key)
    spec = edges.template.spec
    code = edges.repo.read(candidate.commit, spec.run_files)
    settings = {k: v for text in code.values() for k, v in settings_of(text).items()}
    baselines = reference_of(state, edges.template.baselines)
    primary = primary_metric(spec, measured.values)
    verdict = verdict_of(spec, primary, measured, baselines)
    facts = run_facts(state, spec, baselines, verdict, settings)
    notes = append_facts(edges.repo.read(state.code.head, ("notes.txt",)).get("notes.txt", ""), facts)
    subject = f"Run {state.run.number}: record the results in notes.txt"
    made = commit(edges.repo, {"notes.txt": notes}, subject, trailers_of(state, key))
    tag = f"run/{state.run.number}"
    stored = {
        "metrics": measured.values,
        "settings": settings,
        "seed": state.run.number,
        "verified": state.launched.verified and not measured.self_reported,
        "self_reported": measured.self_reported or None,
        "sandbox": measured.sandbox or None,
        "verdict": verdict.kind.value if verdict else None,
        "control": state.launched.control or None,
    }
    edges.repo.tag(tag, candidate.commit, metrics_message(candidate.subject, stored))
    return Published(
        run=state.run.number,
        tag=tag,
        commit=made,
        values=measured.values,
        settings=settings,
        seed=state.run.number,
        self_reported=measured.self_reported,
        sandbox=measured.sandbox,
        doubt=measured.doubt,
    )


def publish_seed(edges: Edges, one: Replication) -> Published:
    """Copy the outputs of a replication to a folder of its own. It has no tag: its code is that of the run's."""
    folders = {step: edges.workspace.step_folder(name) for step, name in one.folders.items()}
    key = f"{one.key}-{one.seed}"
    publish_run(edges.workspace, one.run, folders[Step.RUN], folders.get(Step.EVALUATE), key, seed=one.seed)
    found = one.measured
    return Published(
        run=one.run,
        values=found.values,
        seed=one.seed,
        self_reported=found.self_reported,
        sandbox=found.sandbox,
        doubt=found.doubt,
    )


def record_seeds(edges: Edges, state: State, action: RecordSeeds) -> Replicated:
    """Write mean, spread and verdict of the run's replications into notes.txt."""
    facts = seed_facts(state, edges.template.spec, edges.template.baselines, action.run)
    notes = append_facts(edges.repo.read(state.code.head, ("notes.txt",)).get("notes.txt", ""), facts)
    count = len(state.replications.under(action.key))
    subject = f"Run {action.run} again: record {count} replication{'' if count == 1 else 's'} in notes.txt"
    trailers = {"Run": str(action.run), "Replications": str(count)}
    if state.launched.control:
        trailers["Control"] = state.launched.control.removeprefix("control: ")
    made = commit(edges.repo, {"notes.txt": notes}, subject, trailers | {"Step-Id": action.key})
    return Replicated(action.run, action.key, made)
