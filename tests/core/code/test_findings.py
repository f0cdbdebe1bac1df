from __future__ import annotations

import textwrap

import pytest

from agent.core.code.findings import LintFinding, check_calls, new_findings


def finding(line: int, message: str = "undefined name 'x'", text: str = "", code: str = "F821") -> LintFinding:
    return LintFinding("experiment.py", line, 1, code, message, text)


def messages(code: str) -> list[str]:
    return [found.message for found in check_calls({"experiment.py": textwrap.dedent(code)})]


def test_finding_that_moved_is_not_new() -> None:
    assert new_findings([finding(3)], [finding(40)]) == ()


def test_other_message_code_or_path_is_new() -> None:
    others = [
        finding(3, "undefined name 'y'"),
        finding(3, code="F823"),
        LintFinding("plot.py", 3, 1, "F821", "undefined name 'x'", ""),
    ]
    assert new_findings([finding(3)], others) == tuple(others)


def test_one_more_of_a_kind_is_new_and_the_known_line_is_the_old_one() -> None:
    before = [finding(9, text="old(x)")]
    after = [finding(2, text="new(x)"), finding(10, text="old(x)")]
    assert new_findings(before, after) == (after[0],)


def test_rewritten_line_with_the_same_fault_is_not_new() -> None:
    assert new_findings([finding(9, text="f(x)")], [finding(9, text="g(x)")]) == ()


def test_fewer_findings_bring_nothing_new() -> None:
    assert new_findings([finding(1), finding(2)], [finding(1)]) == ()


SAE = """
    import torch
    import torch.nn as nn

    class SparseAutoencoder(nn.Module):
        def __init__(self, d_model, d_sae, *, l1=0.1):
            super().__init__()

"""


def test_renamed_constructor_argument_is_found_with_its_place() -> None:
    code = textwrap.dedent(SAE) + "def main():\n    return SparseAutoencoder(d_in=8, d_sae=16)\n"
    assert check_calls({"experiment.py": code}) == (
        LintFinding(
            "experiment.py",
            10,
            12,
            "C001",
            "SparseAutoencoder() has no parameter 'd_in'; it takes d_model, d_sae, l1",
            "return SparseAutoencoder(d_in=8, d_sae=16)",
        ),
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("f(1)", "f() needs 'b', 'k', which the call does not pass"),
        ("f(1, 2, 3, 4, k=1)", "f() takes 3 positional arguments, 4 are given"),
        ("f(1, 2, b=3, k=1)", "f() is given 'b' twice, by position and by name"),
        ("f(a=1, b=2, k=1)", "f() has no parameter 'a'; it takes b, c, k, z"),
        ("f(1, 2, k=1, q=1)", "f() has no parameter 'q'; it takes b, c, k, z"),
        ("g(1)", "g() takes 0 positional arguments, 1 are given"),
        ("g(x=1)", "g() has no parameter 'x'; it takes no keywords"),
    ],
)
def test_impossible_calls_are_found(call: str, message: str) -> None:
    code = f"""
        def f(a, /, b, c=1, *, k, z=2): ...
        async def g(): ...
        class Other:
            def method(self):
                return {call}
    """
    assert messages(code) == [message]


@pytest.mark.parametrize("call", ["f(1, 2, k=3)", "f(1, b=2, c=3, k=4, z=5)", "f(*x, q=1)", "f(1, **x)", "g()"])
def test_possible_and_open_calls_are_fine(call: str) -> None:
    assert messages(f"def f(a, /, b, c=1, *, k, z=2): ...\ndef g(): ...\nx = ()\n{call}") == []


@pytest.mark.parametrize(
    "definition",
    [
        "def f(*a): ...",
        "def f(**k): ...",
        "@wraps(g)\ndef f(): ...",
        "def f(): ...\nf = partial(f)",
        "def f(): ...\ndef f(x): ...",
        "if fast:\n    def f(): ...",
        "def f(): ...\ntry:\n    from fast import f\nexcept ImportError: pass",
        "def f(): ...\nfrom fast import *",
        "def f(): ...\nglobals()['f'] = print",
        "def f(): ...\nf.__defaults__ = (1,)",
        "def f(): ...\nfor f in fs: pass",
        "def f(): ...\ndef main(f): f(1)",
        "def f(): ...\nsys.modules[__name__] = fake",
        "def f(): ...\nvars()['f'] = print",
        "def f(): ...\nsetattr(here, name, print)",
        "class f:\n    def __init__(self): ...\nsetattr(f, '__init__', g)",
        "class f: ...",
        "class f(Base):\n    def __init__(self): ...",
        "class f(metaclass=M):\n    def __init__(self): ...",
        "class f:\n    def __init__(self): ...\n    def __new__(cls, x): ...",
        "class f:\n    @typed\n    def __init__(self): ...",
        "class f:\n    def __init__(self, **k): ...",
        "class f:\n    def __init__(): ...",
        "class f:\n    if a:\n        def __init__(self): ...",
        "@dataclass\nclass f:\n    def __init__(self): ...",
        "from enum import Enum\nclass f(Enum):\n    def __init__(self, a, b): ...",
        "class Base: ...\nclass f(Base): ...",
        "class Meta(type): ...\nclass Base(metaclass=Meta): ...\nclass f(Base):\n    def __init__(self): ...",
        "object = 1\nclass f(object):\n    def __init__(self): ...",
        "class f:\n    def __init__(self): ...\nf.__init__ = g",
    ],
)
def test_doubtful_definitions_are_left_alone(definition: str) -> None:
    assert messages(definition + "\nf(1, x=2)") == []


@pytest.mark.parametrize(
    "call",
    [
        "try:\n    f(1)\nexcept TypeError: pass",
        "with pytest.raises(TypeError):\n    f(1)",
        "with suppress(TypeError):\n    f(1)",
        "self.assertRaises(TypeError, lambda: f(1))",
        "class A:\n    def f(self, x): ...\n    y = f(1)",
        "obj.f(1)",
        "def broken(:",
        "x = '\0'",
    ],
)
def test_calls_that_may_be_meant_are_left_alone(call: str) -> None:
    assert messages(f"def f(): ...\n{call}") == []


@pytest.mark.parametrize(
    "base", ["", "(object)", "(Exception)", "(Parent)", "(nn.Module)", "(torch.nn.Module)", "(Dataset)", "(ABC)"]
)
def test_classes_whose_bases_are_known_are_checked(base: str) -> None:
    code = f"""
        import torch
        from abc import ABC
        from torch import nn
        from torch.utils.data import Dataset
        class Parent(nn.Module):
            pass
        class Net{base}:
            def __init__(self, width): ...
        with torch.no_grad():
            Net(size=3)
    """
    assert messages(code) == ["Net() has no parameter 'size'; it takes width"]


DATACLASS = """
    import dataclasses
    from dataclasses import dataclass, field

    {decorator}
    class Config:
        '''Settings.'''

        lr: float
        steps: int = 10
        sizes: list[int] = field(default_factory=list)

        def total(self): ...

    Config({arguments})
"""


@pytest.mark.parametrize("decorator", ["@dataclass", "@dataclasses.dataclass(frozen=True, slots=True)", "@dataclass()"])
def test_fields_of_a_dataclass_are_its_parameters(decorator: str) -> None:
    def call(arguments: str) -> list[str]:
        return messages(DATACLASS.format(decorator=decorator, arguments=arguments))

    assert call("0.1, 20, sizes=[1]") == []
    assert call("learning_rate=0.1") == ["Config() has no parameter 'learning_rate'; it takes lr, steps, sizes"]
    assert call("steps=3") == ["Config() needs 'lr', which the call does not pass"]
    assert call("1, 2, 3, 4") == ["Config() takes 3 positional arguments, 4 are given"]


@pytest.mark.parametrize(
    "definition",
    [
        "@dataclass(kw_only=True)\nclass f:\n    a: int = 0",
        "@dataclass(init=False)\nclass f:\n    a: int = 0",
        "@dataclass(**options)\nclass f:\n    a: int = 0",
        "@final\n@dataclass\nclass f:\n    a: int = 0",
        "@dataclass\nclass f(Base):\n    a: int = 0",
        "@dataclass\nclass f:\n    _: KW_ONLY\n    a: int = 0",
        "@dataclass\nclass f:\n    a: t.ClassVar[int] = 0",
        "@dataclass\nclass f:\n    a: 'ClassVar[int]' = 0",
        "@dataclass\nclass f:\n    a: int = field(init=False, default=0)",
        "@dataclass\nclass f:\n    if fast:\n        a: int = 0",
        "@dataclass\nclass f:\n    a: int = 0\n    def __init__(self, b): ...",
        "@attrs.dataclass\nclass f:\n    a: int = 0",
    ],
)
def test_doubtful_dataclasses_are_left_alone(definition: str) -> None:
    assert messages(f"from dataclasses import dataclass, field, KW_ONLY\n{definition}\nf(1, 2, x=2)") == []


def test_method_of_the_same_name_hides_no_function() -> None:
    code = "def train(steps): ...\nclass Net:\n    def train(self): return train()"
    assert messages(code) == ["train() needs 'steps', which the call does not pass"]


@pytest.mark.parametrize(
    "line", ["print(vars(args))", "setattr(self, key, 1)", "setattr(x, 'lr', 1)", "net.modules()", "a.__dict__"]
)
def test_everyday_reflection_blinds_nothing(line: str) -> None:
    assert messages(f"def f(): ...\n{line}\nf(1)") == ["f() takes 0 positional arguments, 1 are given"]


def test_other_files_are_not_read() -> None:
    assert check_calls({"notes.txt": "def f(): ...\nf(1)", "plot.py": "f(1)"}) == ()
