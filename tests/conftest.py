"""No test reaches beyond this machine: a model call that is not scripted or served on loopback raises."""

from __future__ import annotations

import gc
import importlib.util
import os
import signal
import socket
import sys
from collections.abc import Iterator
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from agent.edges.model.litellm_table import WITHOUT_REQUESTS
from tests import memory
from tests.examples import DEFAULT

settings.load_profile(DEFAULT)

# Hundreds of processes import agent: it is compiled once, even if this shell says to keep nothing compiled.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# As the product sets them before it imports these libraries; some tests import them first.
os.environ.update(WITHOUT_REQUESTS)
os.environ["GIT_PYTHON_REFRESH"] = "quiet"

# No test cuts the power, and what is written is there for every process. git's own tests set this variable, too.
os.environ["GIT_TEST_FSYNC"] = "0"

# As litellm sets it once at its import, which may be in a test that puts the environment back.
_litellm = importlib.util.find_spec("litellm")  # an experiment's environment has none
if _litellm and _litellm.origin:
    os.environ["TIKTOKEN_CACHE_DIR"] = str(Path(_litellm.origin).parent / "litellm_core_utils" / "tokenizers")

# Commands that tests interrupt would leave alone what this process ignores, as a shell's job in the background does.
for _signal in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
    if signal.getsignal(_signal) is signal.SIG_IGN:
        signal.signal(_signal, signal.default_int_handler if _signal == signal.SIGINT else signal.SIG_DFL)

# Thousands of tests are collected, and live until the end: the collector need not look at them again and again.
gc.disable()


# Tests that import litellm, which takes seconds: one worker of xdist has them all.
WITH_LITELLM = (
    "tests/provider/",
    "tests/edges/model/test_client.py",
    "tests/edges/model/test_litellm_table.py",
    "tests/edges/model/wire/test_traffic.py",
    "tests/edges/doctor/test_provider.py",
    "tests/cli/test_bad_input.py::test_an_option_that_cannot_be_used",
    "tests/cli/test_budgets.py",
    "tests/cli/test_commands.py::test_a_real_model",
    "tests/cli/test_doctor.py",
    "tests/cli/test_hostile.py",
    "tests/cli/test_models.py",
    "tests/cli/test_secrets.py",
    "tests/cli/test_tell.py::test_an_unknown_price",
    "tests/cli/test_wrong_values.py",
    "tests/loop/test_context_loop.py::test_a_real_server",
    "tests/report/test_frontier_tokens.py",
)
# Tests that read every module of agent, which is parsed once.
OF_SOURCES = ("tests/test_purity.py", "tests/test_rooms.py", "tests/test_style.py")
# Fixtures that take seconds and are made once a worker: one worker has the quick tests that share them.
SHARED = ("launched", "finished", "whole", "undisturbed", "rows_made")


def pytest_configure(config: pytest.Config) -> None:
    config.add_cleanup(memory.begin())
    sys.meta_path.insert(0, GUARD)
    config.addinivalue_line("markers", "xdist_group(name): has a worker for itself")  # known without xdist, too


@pytest.hookimpl(tryfirst=True)  # before that of xdist, which looks for the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        shared = [name for name in SHARED if name in getattr(item, "fixturenames", ())]
        if item.nodeid.startswith(WITH_LITELLM):
            put_in_group(item, "litellm")
        elif item.nodeid.startswith(OF_SOURCES):
            put_in_group(item, "sources")
        elif shared and item.get_closest_marker("slow") is None:
            put_in_group(item, shared[0])


class LitellmGuard(MetaPathFinder):
    """Refuses the import of litellm to a quick test that is not in the group of those that need it."""

    item: pytest.Item | None = None  # at work

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        item = self.item if fullname == "litellm" else None
        if item and item.get_closest_marker("slow") is None and not item.nodeid.startswith(WITH_LITELLM):
            raise AssertionError(f"{item.nodeid} imports litellm, which takes seconds: name it in WITH_LITELLM")


GUARD = LitellmGuard()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    GUARD.item = item


def put_in_group(item: pytest.Item, name: str) -> None:
    item.add_marker(pytest.mark.xdist_group(name))
    # xdist 3.8 writes the group into an attribute that pytest 9.2 reads no more.
    if getattr(item.config.option, "loadgroup", False) and hasattr(item, "_id"):
        item._id = type(item._id).parse(f"{item.nodeid}@{name}")


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True, scope="session")
def without_power_cuts() -> Iterator[None]:
    """Tests of this process wait for no disk, of which there are tens of thousands of waits otherwise.

    Commands and supervisors that they start do. tests/edges/system/test_files.py, test_journal.py and test_repo.py
    hold what is asked of the disk, and in which order.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)  # which fails at a closed descriptor, too
        yield


@pytest.fixture(autouse=True, scope="session")
def only_loopback() -> Iterator[list[str]]:
    """Connections to any other address fail the test that makes them.

    Returns the hosts that tests of this worker looked up or tried to reach so far, whoever swallowed the failure.
    """
    connect, look_up = socket.socket.connect, socket.getaddrinfo
    reached: list[str] = []

    def note(host: object) -> bool:
        if is_far := host not in (None, "127.0.0.1", "::1", "localhost", b"localhost"):
            reached.append(str(host))
        return is_far

    def connect_to_loopback(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and note(address[0]):
            raise AssertionError(f"a test tried to reach {address[0]}")
        connect(self, address)

    def look_up_and_note(host: Any, *arguments: Any, **named: Any) -> Any:
        note(host)
        return look_up(host, *arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect_to_loopback)
        patch.setattr(socket, "getaddrinfo", look_up_and_note)
        yield reached
