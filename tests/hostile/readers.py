"""Every public reader of foreign text, as a function of one text."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from agent.core.authoring.advice import Surroundings, explain_failure
from agent.core.authoring.arguments import mend_out_dir, refuses_out_dir
from agent.core.authoring.check import numbers_in
from agent.core.authoring.proposals import mend_import, mend_smoke, seed_line
from agent.core.authoring.ranges import offer_ranges
from agent.core.authoring.reading.opened import find_downloads, find_paths
from agent.core.authoring.reading.script import read_scripts
from agent.core.authoring.records import mend_results, offer_curve
from agent.core.authoring.seeds import find_generators, propose_seeds
from agent.core.authoring.survey import survey_scripts
from agent.core.code.digest import digest_code, imported_modules
from agent.core.code.findings import check_calls
from agent.core.code.search_marks import search_ranges, settings_of
from agent.core.code.source import find_bad_python
from agent.core.code.switches import describe_switches
from agent.core.edit.apply import apply_reply, apply_whole, has_blocks
from agent.core.edit.formats.names import find_info_name, find_name, is_heading, mentioned
from agent.core.edit.from_texts import Unwritable, blocks_of
from agent.core.edit.seen import carry, reveal
from agent.core.evidence.curve import summarise_curves
from agent.core.evidence.draws import doubt_seed
from agent.core.evidence.means import means_metrics
from agent.core.evidence.results import parse_results
from agent.core.evidence.variants import set_constants
from agent.core.failure.cause import find_infrastructure, ran_out_of_memory
from agent.core.failure.diagnose import Failure, bad_results, diagnose, lint_failure, no_results
from agent.core.failure.folding import clean, cut_middle, fold, is_progress, last_states, mask
from agent.core.failure.memory import advise_on_memory
from agent.core.failure.record import ExitRecord
from agent.core.failure.traceback import find_chains, own_name, render_chain
from agent.core.inputs.brief import split_brief
from agent.core.inputs.idea import Idea, new_idea, parse_ideas, revise_idea
from agent.core.inputs.spec import Metric, TemplateSpec
from agent.core.inputs.toml import parse_toml
from agent.core.model.answer.body import read_body
from agent.core.model.answer.reply_fault import fault_in
from agent.core.model.answer.server_words import ServerWords, read_server
from agent.core.model.cut_reply import ask_for_rest, ends_in_loop, has_answer, join_rest
from agent.core.model.fault_words import read_seconds
from agent.core.model.faults import classify
from agent.core.model.local_fault import local_fault
from agent.core.model.messages import Message, Rules, normalise, scrub
from agent.core.prompt.excerpt import changed_lines, choose_lines, find_focus, quoted_lines, render_excerpt
from agent.core.prompt.notes import append_facts, end_of_notes
from agent.core.reply.code_request import find_code_request
from agent.core.reply.expectation import begins_label, headline, read_comparison, read_labels
from agent.core.reply.misses import find_misses, is_missed_command
from agent.core.reply.plan import Plan, PlanItem, bare_plan_line, merge_plan, parse_reply, without_plan
from agent.core.reply.plan_table import read_table
from agent.core.reply.review import read_review
from agent.core.text.lexer import find_unreadable, mark_lines, read_lines
from agent.core.text.plain import plain, plain_line
from agent.core.text.reasoning import strip_reasoning
from agent.core.text.redact import Redactor
from agent.core.text.remark import Remark
from agent.core.text.wording import say_not_toml
from agent.edges.git.log import parse_log
from agent.edges.lint import read_findings
from agent.edges.model.aider_output import read_output
from agent.edges.model.wire.headers import read_limits, retry_after_s
from agent.edges.template.load import place_fault
from agent.errors import UsageError
from tests.hostile.turns import TURNS

__all__ = ["GROUPS", "READERS", "Reader"]

Reader = Callable[[str], object]

CODE: Final = "import os\n\nLR = 1\n\n\ndef train(lr: float) -> float:\n    return lr\n\n\nprint(train(LR))\n"
FILES: Final = {"experiment.py": CODE, "notes.txt": "# Notes\n\nold\n"}
SPEC: Final = TemplateSpec(name="t", command="python experiment.py --out_dir={out_dir}")
FAILED: Final = ExitRecord(1, None, False, False, 60.0, 1.0, 0.1)
FRAME: Final = 'Traceback (most recent call last):\n  File "experiment.py", line 1, in f\n'
OWN: Final = ("experiment.py",)
WELL: Final = ExitRecord(0, None, False, False, 60.0, 1.0, 0.1)
METRICS: Final = (Metric(name="f1", path=("f1",), direction="higher", primary=True),)
REDACT: Final = Redactor({"sk-abcdefgh12345": "KEY", "two words and\na line that is long enough": "OTHER_KEY"})


AROUND: Final = Surroundings(
    folder="t",
    names=("experiment.py",),
    python="python",
    is_built=False,
    has_data=False,
    is_described=True,
    work="/a/work",
    distribution_of=str.lower,
)


def survey(files: dict[str, str]) -> object:
    """A script, read as `template new` and `check` do."""
    found = survey_scripts(files)
    lines = (found.describe(), found.metric_lines(), found.task(""))
    return lines, list(offer_ranges(files, "t")), list(offer_curve(files, "t")), mend_out_dir(files, "t", SPEC)


def refusing(read: Reader) -> Reader:
    """The reader, which may refuse a text with a message of its own."""

    def guarded(text: str) -> object:
        try:
            return read(text)
        except (UsageError, Unwritable) as error:
            return str(error)

    return guarded


def spec(text: str) -> object:
    """A template.toml."""
    try:
        return TemplateSpec.model_validate(parse_toml(text))
    except ValidationError as error:
        return place_fault(Path("template.toml"), text, error.errors()[0])
    except ValueError as error:
        return say_not_toml(error)


def body(text: str) -> object:
    """An answer's body, and the fault that it tells."""
    found = read_body(text)
    return found and fault_in(found, REDACT)


def edit(text: str, *, search: str = "LR = 1\n", path: str = "experiment.py") -> str:
    return f"{path}\n```\n<<<<<<< SEARCH\n{search}=======\n{text}\n>>>>>>> REPLACE\n```\n"


def apply(reply: str, code: str = CODE) -> object:
    return apply_reply({**FILES, "experiment.py": code}, reply, editable=tuple(FILES))


REPLIES: Final[dict[str, Reader]] = {
    "read_lines": read_lines.__wrapped__,
    "mark_lines": lambda text: mark_lines(text.split("\n")),
    "strip_reasoning": strip_reasoning,
    "parse_reply": parse_reply,
    "parse_reply, an item": lambda text: parse_reply(f"PLAN:\n1. a{text}\n2. stop"),
    "parse_reply, a table": lambda text: parse_reply(f"PLAN:\n| Run | Change |\n|{text}|---|\n| 1 | {text} |\n"),
    "bare_plan_line": bare_plan_line,
    "without_plan": without_plan,
    "merge_plan": lambda text: merge_plan(Plan((PlanItem(1, text),)), Plan((PlanItem(1, text),)), {1}),
    "read_table": lambda text: read_table(text.split("\n")),
    "read_labels": read_labels,
    "headline": headline,
    "begins_label": begins_label,
    "read_comparison": lambda text: read_comparison(text, ("f1", "val_loss"), "f1"),
    "read_comparison, a metric": lambda text: read_comparison(f"f1{text}", ("f1", "val_loss")),
    "find_misses": find_misses,
    "find_code_request": lambda text: find_code_request(text, FILES, "experiment.py"),
    "find_code_request, of an editor": lambda text: find_code_request(f"SHOW: {text}", FILES, strict=True),
    "is_missed_command": is_missed_command,
    "read_review": read_review,
    "read_review, parts": lambda text: read_review(f"JUDGEMENT: revise {text}\nREASON: {text}\nSUGGESTIONS:\n- {text}"),
    "read_review, an idea": lambda text: read_review(f"JUDGEMENT: revise\nREASON: a\nREVISED IDEA:\n{{{text}"),
    "read_review, a field": lambda text: read_review(
        f"JUDGEMENT: revise\nREASON: a\nREVISED IDEA:\n{json.dumps({'a': text})}"
    ),
    "read_review, a revision": refusing(
        lambda text: revise_idea(Idea(Title="A", Experiment="b"), {"Experiment": text, text[:40]: 1}, "f1")
    ),
    "find_unreadable": find_unreadable,
    "has_answer": has_answer,
    "ends_in_loop": ends_in_loop,
    "read_server": lambda text: read_server("m", ServerWords(text, text, text, text, text)),
    "ask_for_rest": ask_for_rest,
    "join_rest": lambda text: join_rest(f"{text}\n", text),
    "normalise": lambda text: normalise([Message("assistant", text)] * 2, Rules(system=False, single=True)),
}

EDITS: Final[dict[str, Reader]] = {
    "has_blocks": has_blocks,
    "apply_reply": apply,
    "apply_reply, SEARCH": lambda text: apply(edit("LR = 2", search=f"{text}\n")),
    "apply_reply, REPLACE": lambda text: apply(edit(text)),
    "apply_reply, notes": lambda text: apply(edit(text, search="", path="notes.txt")),
    "apply_reply, above": lambda text: apply(f"{text}\n{edit('LR = 2').partition(chr(10))[2]}"),
    "apply_reply, a fence": lambda text: apply(f"```{text}\n{edit('LR = 2')}"),
    "apply_reply, the file": lambda text: apply(edit("LR = 2", search="LR = 3\nLR = 4\n"), text),
    "apply_reply, twice in the file": lambda text: apply(
        edit("LR = 2"), "\nLR = 1\n".join([text[: len(text) // 2]] * 2)
    ),
    "apply_reply, SEARCH and the file": lambda text: apply(edit("LR = 2", search=f"{text}\ny\n"), text),
    "apply_whole": lambda text: apply_whole(FILES, f"experiment.py\n```\n{text}\n```\n", editable=tuple(FILES)),
    "apply_whole, a name": lambda text: apply_whole(FILES, f"{text}\n```\n{CODE}\n```\n", editable=tuple(FILES)),
    "apply_whole, the file": lambda text: apply_whole(
        {"experiment.py": text}, f"experiment.py\n```\n{CODE}\n```\n", editable=("experiment.py",)
    ),
    "blocks_of": refusing(lambda text: blocks_of(FILES, {"notes.txt": text})),
    "blocks_of, the file": refusing(lambda text: blocks_of({"notes.txt": text}, {"notes.txt": f"a\n{text}b\n"})),
    "find_name": lambda text: find_name(text, tuple(FILES)),
    "find_info_name": lambda text: find_info_name(text, tuple(FILES)),
    "mentioned": lambda text: mentioned(text, tuple(FILES)),
    "is_heading": is_heading,
    "reveal": lambda text: reveal({"notes.txt": ((1, 1),)}, text, {"notes.txt": text}, {}),
    "carry": lambda text: carry(((1, 1),), text, f"a\n{text}"),
}

FAILURES: Final[dict[str, Reader]] = {
    "diagnose, stderr": lambda text: diagnose(FAILED, "", text),
    "diagnose, stdout": lambda text: diagnose(FAILED, text, ""),
    "diagnose, a message": lambda text: diagnose(FAILED, "", f"{FRAME}ValueError: {text}"),
    "diagnose, a frame": lambda text: diagnose(FAILED, "", f"{FRAME}    {text}\nValueError: a"),
    "no_results": lambda text: no_results(WELL, text, text, "run_1/final_info.json"),
    "bad_results": lambda text: bad_results(WELL, "", "", [text, text]),
    "lint_failure": lambda text: lint_failure([f"experiment.py:1:1: F821 {text}", text]),
    "Failure.of_edit": lambda text: Failure.of_edit(text, text),
    "fold": fold,
    "mask": mask,
    "clean": clean,
    "last_states": last_states,
    "is_progress": is_progress,
    "cut_middle": lambda text: cut_middle(text, 6000),
    "find_chains": lambda text: [
        render_chain(chain, ("experiment.py",), 3000) for chain in find_chains(text.split("\n"))
    ],
    "own_name": lambda text: own_name(text, ("experiment.py",)),
    "advise_on_memory": lambda text: advise_on_memory([text, f"Tried to allocate {text}"], text),
    "ran_out_of_memory": lambda text: ran_out_of_memory([text]),
    "find_infrastructure": lambda text: find_infrastructure([text], (), gpu_expected=True),
}

SOURCES: Final[dict[str, Reader]] = {
    "find_bad_python": find_bad_python,
    "check_calls": lambda text: check_calls({"experiment.py": text}),
    "check_calls, a body": lambda text: check_calls({"experiment.py": f"def f(a):\n    pass\n{text}"}),
    "read_findings": lambda text: read_findings(
        "".join(f"./a.py\t{n}\t1\tF821\tundefined name 'a'\n" for n in range(1, text.count("\n") + 2)), {"a.py": text}
    ),
    "read_findings, a line": lambda text: read_findings(f"./a.py\t1\t1\tF821\t{text}\n{text}", {"a.py": text}),
    "search_ranges": search_ranges,
    "search_ranges, a mark": lambda text: search_ranges(f"LR = 1  # search: {text}"),
    "search_ranges, a value": lambda text: search_ranges(f"LR = {text}  # search: 0..1"),
    "settings_of": settings_of,
    "set_constants": refusing(
        lambda text: set_constants({"experiment.py": f"LR = 1\n{text}"}, ("experiment.py",), {"LR": 2})
    ),
    "survey_scripts": lambda text: survey({"experiment.py": text}),
    "survey_scripts, a value": lambda text: survey({"experiment.py": f"import json\nloss = {text}\n"}),
    "survey_scripts, what is printed": lambda text: survey({"experiment.py": f"while 1:\n    print({text}, loss)\n"}),
    "survey_scripts, an option": lambda text: survey({"experiment.py": f"p.add_argument('--lr', default={text})\n"}),
    "find_paths": lambda text: [find_paths(s) for s in read_scripts({"a.py": f"open({text}, 'r')\n"})],
    "find_downloads": lambda text: [list(find_downloads(s)) for s in read_scripts({"a.py": f"import a\n{text}\n"})],
    "explain_failure": lambda text: list(explain_failure(text, AROUND)),
    "explain_failure, a file": lambda text: list(
        explain_failure(f"No such file or directory: '{text}'\nNo module named '{text}'", AROUND)
    ),
    "propose_seeds": lambda text: list(propose_seeds({"experiment.py": text})),
    "find_generators": lambda text: [call.describe() for call in find_generators({"experiment.py": text})],
    "find_generators, a seed": lambda text: list(
        propose_seeds({"experiment.py": f"import random\nrandom.seed({text})\n"})
    ),
    "digest_code": lambda text: digest_code({"experiment.py": text}, ("experiment.py",)),
    "imported_modules": imported_modules,
    "doubt_seed": lambda text: doubt_seed({"a.py": f"SCIENTIST_SEED\n{text}"}, {"a.py": f"SCIENTIST_SEED\n{text}"}),
    "describe_switches": lambda text: describe_switches([text], [text]),
    "describe_switches, a value": lambda text: describe_switches([f"LR = {text}\n"], ["LR"]),
    "choose_lines": lambda text: render_excerpt(
        text,
        choose_lines(
            "experiment.py", text, find_focus("experiment.py", text, told=[text], about=text), 4000, fill=True
        ),
    ),
    "changed_lines": lambda text: changed_lines(text, "experiment.py"),
    "quoted_lines": lambda text: quoted_lines(text, text),
    "seed_line": lambda text: seed_line({"experiment.py": text}),
    "mend_out_dir": lambda text: mend_out_dir({"experiment.py": text}, "t", SPEC),
    "mend_results": lambda text: mend_results({"experiment.py": text}, "t", SPEC, text),
    "mend_smoke": lambda text: list(mend_smoke({"experiment.py": text}, "t")),
    "mend_import": lambda text: list(mend_import({"experiment.py": text}, "t", "experiment.py", 1)),
    "refuses_out_dir": refuses_out_dir,
}

OTHERS: Final[dict[str, Reader]] = {
    "plain": plain,
    "plain_line": lambda text: plain_line(text, 80, whole_words=True),
    "Redactor": REDACT,
    "Redactor.in_error": REDACT.in_error,
    "Redactor.undo_in": lambda text: REDACT.undo_in([text, f"{text}sk-abcdefgh12345"])(text),
    "scrub": lambda text: scrub({text: [text]}),
    "Remark": lambda text: Remark("mend", text, text, text).text,
    "classify": lambda text: [classify(text, status, "APIError") for status in (None, 400, 429)],
    "read_body": body,
    "read_body, a text": lambda text: body(json.dumps({"choices": [{"message": {"content": text}}]})),
    "read_body, a value": lambda text: body(f'{{"choices": [{{"message": {{"content": {text}'),
    "read_body, blocks": lambda text: body(f'{{"choices": [{{"message": {{"content": [{text}]}}}}]}}'),
    "read_body, an error": lambda text: body(json.dumps({"error": {"message": text, "code": text}})),
    "read_body, a stream": lambda text: body(f'data: {{"choices": [{{"delta": {{"content": "a"}}}}]}}\n\n{text}'),
    "local_fault": lambda text: local_fault([text, f"ConnectError: {text}"], "openai/a", text, "", REDACT),
    "classify, JSON": lambda text: classify(f'litellm.APIError: {{"error": {text}}}', 400, "APIError"),
    "read_seconds": read_seconds,
    "headers": lambda text: (
        retry_after_s({"retry-after": text}, 0.0),
        read_limits({"x-ratelimit-limit-tokens": text, "x-ratelimit-reset-tokens": text}, 0.0),
    ),
    "aider's output": lambda text: read_output(text, REDACT),
    "parse_results": lambda text: parse_results(text, METRICS, "final_info"),
    "parse_results, a value": lambda text: parse_results(f'{{"f1": {text}', METRICS, "final_info"),
    "means_metrics": lambda text: means_metrics({"a": {"means": {text: 1.0}}}),
    "means_metrics, a key of many": lambda text: means_metrics(
        {"a": {"means": {text: {f"x{n}": 1.0 for n in range(5_000)}}}}
    ),
    "summarise_curves": lambda text: summarise_curves(text, ("loss",)),
    "numbers_in": lambda text: list(numbers_in({"a": {text: [1, {text: 2}]}})),
    "template.toml": spec,
    "template.toml, a value": lambda text: spec(f'name = "t"\ncommand = {text}'),
    "template.toml, a table": lambda text: spec(f'name = "t"\ncommand = "a"\n[limits]\nrun_s = {text}'),
    "parse_log": lambda text: parse_log(f"\x01{'a' * 40}\0001\0{text}\0Run: 1\x1f{text}\0\n1\t1\t{text}\0"),
    "parse_ideas": refusing(lambda text: parse_ideas(text, "ideas.json")),
    "parse_ideas, a field": refusing(
        lambda text: parse_ideas(json.dumps(dict.fromkeys(("Title", "Experiment"), text)), "i")[0].slug
    ),
    "new_idea": refusing(new_idea),
    "split_brief": split_brief,
    "end_of_notes": lambda text: end_of_notes(append_facts(text, text), 4000),
}

GROUPS: Final = {
    "replies": REPLIES,
    "edits": EDITS,
    "failures": FAILURES,
    "sources": SOURCES,
    "others": OTHERS,
    "turns": TURNS,
}
READERS: Final[dict[str, Reader]] = {**REPLIES, **EDITS, **FAILURES, **SOURCES, **OTHERS, **TURNS}
