"""Diagnoses of ended processes: the kind, the one line, the text for the model, and the fingerprint."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from agent.core.evidence.means import NO_MEANS
from agent.core.failure.diagnose import (
    Failure,
    FailureKind,
    Location,
    as_smoke,
    bad_results,
    blame_machine,
    diagnose,
    lint_failure,
    no_results,
)
from agent.core.failure.record import LOST_OUTPUT, ExitRecord
from agent.core.failure.remedy import remedy_for
from tests.examples import examples

BARS = "".join(
    f"\rLoading checkpoint shards: {p:3d}%|{'█' * (p // 10):10}| {i}/3 [00:0{i}<00:08,  4.2{i}s/it]"
    for i, p in enumerate((0, 33, 67, 100))
)


def ended(code: int | None = 1, signal: int | None = None, **changes: object) -> ExitRecord:
    record = ExitRecord(code, signal, False, False, 1800.0, 41.3, 7.9)
    return dataclasses.replace(record, **changes)  # type: ignore[arg-type]


def crash(
    exception: str, *, line: int = 393, function: str = "train", folder: str = "/w/run_3.1/work", deeper: str = ""
) -> str:
    return (
        "Traceback (most recent call last):\n"
        f'  File "{folder}/experiment.py", line {line + 200}, in <module>\n    main()\n    ^^^^^^\n'
        f'  File "{folder}/experiment.py", line {line}, in {function}\n    step(x)\n{deeper}'
        f"{exception}\n"
    )


def in_library(package: str) -> str:
    return f'  File "/envs/3f/lib/python3.11/site-packages/{package}", line 9, in call\n    raise\n'


@pytest.mark.parametrize(
    ("breach", "kind"),
    [
        ("memory 8.1 GiB > 8 GiB", FailureKind.OUT_OF_MEMORY),
        ("processes 1300 > 1024", FailureKind.KILLED),
        ("file size 4 GiB reached by log.bin", FailureKind.KILLED),
        ("disk 8.4 GiB > 8 GiB", FailureKind.KILLED),
    ],
)
def test_a_broken_limit_is_named_whatever_was_printed(breach: str, kind: FailureKind) -> None:
    printed = crash("OSError: [Errno 28] No space left on device")
    failure = diagnose(ended(None, 9, breach=breach), "", printed)
    assert (failure.kind, failure.summary) == (kind, f"killed: {breach}")
    assert "Nobody asked for this signal" not in failure.detail, "it is known who killed it"
    assert diagnose(ended(None, 9, breach="disk 9.9 GiB > 8 GiB"), "", "").kind is FailureKind.KILLED


@pytest.mark.parametrize(
    ("record", "name"),
    [
        (ended(None, 9), "9 (SIGKILL)"),
        (ended(137), "9 (SIGKILL)"),
        (ended(None, 15), "15 (SIGTERM)"),
        (ended(143), "15 (SIGTERM)"),
    ],
)
def test_a_kill_that_nobody_asked_for_is_the_machines(record: ExitRecord, name: str) -> None:
    """A daemon that watches the memory sends SIGTERM before SIGKILL."""
    failure = blame_machine(diagnose(record, "", BARS), record)
    assert failure.kind is FailureKind.INFRASTRUCTURE and as_smoke(failure) == failure
    assert failure.summary == (
        f"killed by signal {name} after 41 s; peak memory 7.9 GiB; "
        "no limit was met: the kernel's out-of-memory killer, or a person"
    )


@pytest.mark.parametrize(
    ("record", "printed", "kind"),
    [
        (ended(None, 9, breach="memory 8.1 GiB > 8 GiB"), "", FailureKind.OUT_OF_MEMORY),
        (ended(None, 9, breach="processes 1300 > 1024"), "", FailureKind.KILLED),
        (ended(None, 9, timed_out=True), "", FailureKind.TIMED_OUT),
        (ended(None, 9), "torch.cuda.OutOfMemoryError: CUDA out of memory.\n", FailureKind.OUT_OF_MEMORY),
        (ended(None, 11), "", FailureKind.KILLED),
        (ended(137), crash("ValueError: exit of its own choice"), FailureKind.EXCEPTION),
    ],
)
def test_a_broken_limit_a_signal_of_its_own_and_a_cause_that_it_printed_are_the_experiments(
    record: ExitRecord, printed: str, kind: FailureKind
) -> None:
    assert blame_machine(diagnose(record, "", printed), record).kind is kind


def test_a_module_that_is_missing_in_a_sandbox_may_lie_outside_of_it() -> None:
    missing = crash("ModuleNotFoundError: No module named 'mylib'")
    assert "[sandbox] read of template.toml" in diagnose(ended(sandbox="bwrap"), "", missing).summary
    assert "[sandbox]" not in diagnose(ended(sandbox="off"), "", missing).summary


def test_a_network_that_a_run_has_not_is_its_codes_fault() -> None:
    error = "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='hub', port=443): Max retries exceeded"
    offline = diagnose(ended(offline=True), "", crash(error))
    assert offline.kind is FailureKind.EXCEPTION and "A run has no network" in offline.detail
    online = diagnose(ended(), "", crash(error))
    assert online.kind is FailureKind.INFRASTRUCTURE and "A run has no network" not in online.detail


def test_worker_processes_that_landlock_refuses_are_told() -> None:
    pool = """\
Traceback (most recent call last):
  File "experiment.py", line 7, in <module>
    with multiprocessing.Pool(2) as pool:
  File "/usr/lib/python3.11/multiprocessing/synchronize.py", line 57, in __init__
    sl = self._semlock = _multiprocessing.SemLock(
PermissionError: [Errno 13] Permission denied
"""
    assert "num_workers=0" in diagnose(ended(sandbox="landlock"), "", pool).detail
    assert "num_workers=0" not in diagnose(ended(sandbox="bwrap"), "", pool).detail
    file = crash("PermissionError: [Errno 13] Permission denied: '/etc/shadow'")
    assert "num_workers=0" not in diagnose(ended(sandbox="landlock"), "", file).detail


def test_a_renamed_argument() -> None:
    error = "TypeError: Trainer.__init__() got an unexpected keyword argument 'lr'"
    failure = diagnose(ended(), "", crash(error))
    assert failure.kind is FailureKind.EXCEPTION
    assert failure.summary == f"{error} (experiment.py:393 in train)"
    assert failure.location == Location("experiment.py", 393, "train")
    assert 'File "experiment.py", line 593, in <module>' in failure.detail
    assert "exit code 1; ran 41 s of at most 1800 s; peak memory 7.9 GiB" in failure.detail
    assert "/w/run_3.1" not in failure.detail


def test_a_crash_that_printed_only_progress_bars_says_so() -> None:
    failure = diagnose(ended(), "", BARS + "\n")
    assert failure.kind is FailureKind.EXCEPTION
    assert failure.summary == "exit code 1 and no error printed"
    assert "The process printed no error, only progress bars." in failure.detail
    assert failure.detail.count("Loading checkpoint shards") == 1 and "100%" in failure.detail
    assert "stdout was empty." in failure.detail
    later = BARS.replace("4.2", "5.6").replace("<00:08", "<00:11")
    assert diagnose(ended(), "", later).fingerprint == failure.fingerprint


def test_a_kill_after_progress_bars_names_signal_time_and_memory() -> None:
    failure = diagnose(ended(None, 9), "epoch 1\n", BARS)
    assert failure.kind is FailureKind.KILLED
    assert failure.summary == "killed by signal 9 (SIGKILL) after 41 s; peak memory 7.9 GiB"
    assert "out-of-memory killer is the usual cause" in failure.detail
    assert "The process printed no error" in failure.detail and "epoch 1" in failure.detail


@pytest.mark.parametrize(
    ("record", "kind", "said"),
    [
        (ended(None, 11), FailureKind.KILLED, "signal 11 (SIGSEGV)"),
        (ended(None, 64), FailureKind.KILLED, "signal 64"),
        (ended(None, 99), FailureKind.KILLED, "signal 99"),
        (ended(-9), FailureKind.KILLED, "signal 9 (SIGKILL)"),
        (ended(137), FailureKind.KILLED, "signal 9 (SIGKILL)"),
        (ended(129), FailureKind.EXCEPTION, "exit code 129"),
        (ended(1, max_rss_gib=None), FailureKind.EXCEPTION, "exit code 1"),
        (ended(127), FailureKind.INFRASTRUCTURE, "the command was not found"),
        (ended(None, 9, timed_out=True, deadline_s=120.0), FailureKind.TIMED_OUT, "timed out after 120 s"),
        (ended(None, 15, stopped=True), FailureKind.INFRASTRUCTURE, "stopped by request"),
        (
            ended(None, error="no such file: python"),
            FailureKind.INFRASTRUCTURE,
            "could not start: no such file: python",
        ),
    ],
)
@pytest.mark.parametrize("text", ["", BARS, "\x00\x1b[31m\r\r\n"])
def test_ends_without_a_word(record: ExitRecord, kind: FailureKind, said: str, text: str) -> None:
    failure = diagnose(record, text, text)
    assert failure.kind is kind
    assert said in failure.summary
    assert "How it ended: " in failure.detail and "stderr" in failure.detail and "stdout" in failure.detail
    assert failure.location is None


def test_a_time_limit_is_named_whatever_else_was_printed() -> None:
    failure = diagnose(ended(None, 9, timed_out=True), "", crash("ValueError: handled before"))
    assert failure.kind is FailureKind.TIMED_OUT
    assert "ValueError: handled before" in failure.detail


def test_the_last_word_is_the_summary_where_there_is_no_traceback() -> None:
    usage = "usage: experiment.py [-h]\nexperiment.py: error: unrecognized arguments: --lr\n"
    assert diagnose(ended(2), "", usage).summary.endswith("error: unrecognized arguments: --lr")
    assert diagnose(ended(1), "", "dataset is empty\n" + BARS).summary == "exit code 1: dataset is empty"
    warned = "/x.py:3: UserWarning: error in plot\n  warnings.warn()\n"
    assert "UserWarning" not in diagnose(ended(1), "", "boom failed\n" + warned).summary
    assert diagnose(ended(1), "ERROR: no cache\n", "").summary == "exit code 1: ERROR: no cache"


def test_a_traceback_on_stdout_is_found() -> None:
    failure = diagnose(ended(), "start\n" + crash("KeyError: 'acts'"), BARS)
    assert failure.summary == "KeyError: 'acts' (experiment.py:393 in train)"


def test_direct_cause_is_shown_and_told_apart() -> None:
    def chained(cause: str) -> str:
        link = "\nThe above exception was the direct cause of the following exception:\n\n"
        return crash(cause, line=5, function="load") + link + crash("RuntimeError: training failed")

    failure = diagnose(ended(), "", chained("KeyError: 'acts'"))
    assert failure.summary == "RuntimeError: training failed (experiment.py:393 in train)"
    assert (
        failure.detail.index("KeyError: 'acts'")
        < failure.detail.index("direct cause")
        < failure.detail.rindex("training")
    )
    assert diagnose(ended(), "", chained("OSError: gone")).fingerprint != failure.fingerprint


def test_what_python_ignores_after_the_crash_is_not_the_crash() -> None:
    noise = "Exception ignored in: <function D.__del__ at 0x7f97>\n" + crash("ValueError: in del", line=3)
    failure = diagnose(ended(), "", crash("TypeError: real") + noise)
    assert failure.summary.startswith("TypeError: real")
    assert diagnose(ended(), "", noise).summary != "ValueError: in del (experiment.py:3 in train)"


def test_an_interrupted_worker_does_not_hide_the_crash() -> None:
    failure = diagnose(ended(), "", crash("IndexError: real") + "Process Worker-1:\n" + crash("KeyboardInterrupt"))
    assert failure.summary.startswith("IndexError: real")


def test_an_earlier_different_traceback_is_shown_as_well() -> None:
    failure = diagnose(ended(), "", crash("ValueError: worker died") + "\nProcess\n" + crash("EOFError"))
    assert failure.summary.startswith("EOFError")
    assert "An earlier traceback in the same output:" in failure.detail and "worker died" in failure.detail


@pytest.mark.parametrize(
    "error",
    [
        "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has 79.1 GiB",
        "torch.OutOfMemoryError: CUDA out of memory.",
        "MemoryError",
        "numpy.core._exceptions._ArrayMemoryError: Unable to allocate 80.0 GiB for an array with shape (9, 9)",
        "RuntimeError: CUDA error: out of memory",
        "RuntimeError: [enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory",
        "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "OSError: [Errno 12] Cannot allocate memory",
    ],
)
def test_out_of_memory(error: str) -> None:
    failure = diagnose(ended(), "", crash(error))
    assert failure.kind is FailureKind.OUT_OF_MEMORY
    assert failure.summary.endswith("(experiment.py:393 in train)")
    bigger = error.replace("20.00 MiB", "3.5 GiB").replace("80.0", "160")
    assert diagnose(ended(), "", crash(bigger, line=400)).fingerprint == failure.fingerprint


def test_out_of_memory_without_a_traceback() -> None:
    aborted = "terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc\n"
    assert diagnose(ended(None, 6), "", aborted).kind is FailureKind.OUT_OF_MEMORY
    slurm = "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=5.0\n"
    assert diagnose(ended(None, 9), "", BARS + "\n" + slurm).kind is FailureKind.OUT_OF_MEMORY


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.50 GiB. GPU 0 has a total capacity of "
            "79.11 GiB of which 1.10 GiB is free. Process 41 has 78.00 GiB memory in use.",
            "The line `step(x)` asked for 1.5 GiB, and 1.10 GiB was free. ",
        ),
        (
            "RuntimeError: [enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: "
            "you tried to allocate 1073741824 bytes. Error code 12 (Cannot allocate memory)",
            "The line `step(x)` asked for 1 GiB, as 268,435,456 float32 values take, a matrix of 16,384 x 16,384. ",
        ),
        (
            "RuntimeError: DefaultCPUAllocator: can't allocate memory: you tried to allocate 14400000004 bytes.",
            "The line `step(x)` asked for 13.41 GiB, as 3,600,000,001 float32 values take. ",
        ),
        (
            "numpy.core._exceptions._ArrayMemoryError: Unable to allocate 8.00 TiB for an array with shape (16000, 8) "
            "and data type float64",
            "The line `step(x)` asked for 8 TiB, for an array of shape (16000, 8) (float64). ",
        ),
        ("RuntimeError: DataLoader worker (pid 41) is killed by signal: Killed. ", "`step(x)` ran out of memory."),
        ("MemoryError", "The line `step(x)` ran out of memory."),
    ],
)
def test_out_of_memory_says_what_asked_for_how_much_and_what_may_be_lowered(error: str, said: str) -> None:
    failure = diagnose(ended(), "", crash(error, deeper=in_library("torch/nn/functional.py")))
    assert failure.kind is FailureKind.OUT_OF_MEMORY
    assert said in failure.detail
    assert "(batch_size, d_sae and the like) are the profile's and stay" in failure.detail


def test_out_of_memory_advises_where_no_line_is_known() -> None:
    failure = diagnose(ended(None, 9), "", "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=5.0\n")
    assert failure.kind is FailureKind.OUT_OF_MEMORY
    assert "are the profile's and stay" in failure.detail and "asked for" not in failure.detail


def test_a_kill_by_the_kernel_advises_on_memory_and_another_signal_does_not() -> None:
    killed = diagnose(ended(None, 9), "step 3 of 700\n", "")
    assert "out-of-memory killer" in killed.detail and "are the profile's and stay" in killed.detail
    for number, said in ((11, ""), (7, "a full disk, or a file mapped into memory")):
        other = diagnose(ended(None, number), "", "")
        assert said in other.detail and "the profile's" not in other.detail


def test_a_loss_that_is_nan_is_told_with_step_and_last_finite_loss() -> None:
    def nan(step: int, last: float) -> Failure:
        error = f"FloatingPointError: loss is nan at step {step} of 700; the last finite loss was {last} at {step - 1}"
        return diagnose(ended(), f"step {step - 1}\n", BARS + "\n" + crash(error))

    failure = nan(412, 0.0312)
    error = "FloatingPointError: loss is nan at step 412 of 700; the last finite loss was 0.0312 at 411"
    assert failure.kind is FailureKind.EXCEPTION
    assert failure.summary == f"{error} (experiment.py:393 in train)"
    assert error in failure.detail
    assert nan(17, 4.5).fingerprint == failure.fingerprint  # the same failure, so that the strategy changes


@pytest.mark.parametrize(
    "error",
    [
        "OSError: [Errno 28] No space left on device",
        'SafetensorError: Error while serializing: IoError(Os { code: 28, message: "No space left on device" })',
        "RuntimeError: unable to write to file </torch_41_3>: No space left on device (28)",
    ],
)
def test_a_full_disk_is_never_the_codes_fault(error: str) -> None:
    failure = diagnose(ended(), "", crash(error))
    assert failure.kind is FailureKind.INFRASTRUCTURE
    assert failure.summary.startswith("no space left on the disk: ")
    told = diagnose(ended(), "", "evaluate.py: error: cannot write evaluation.json: No space left on device\n")
    assert told.kind is FailureKind.INFRASTRUCTURE


REASON = (
    "evaluate.py: error: encode answers differently when the batch is split (largest difference 3.1 at row 7); "
    "it must depend on its own row alone, so take no mean, maximum or rank over the batch; "
    + "measure it during training, keep it as a buffer of the module, and use that; " * 4
    + "the end"
)


def test_an_evaluators_reason_comes_through_whole() -> None:
    failure = diagnose(ended(), "", f"loading\n{REASON}\n")
    assert len(REASON) > 400 and REASON in failure.detail
    assert "encode answers differently when the batch is split" in failure.summary
    assert failure.summary.endswith("the end")


def test_an_evaluators_reason_comes_with_the_traceback_of_its_child() -> None:
    child = crash(
        "RuntimeError: mat1 and mat2 shapes cannot be multiplied", function="encode", deeper=in_library("t.py")
    )
    failure = diagnose(ended(), "", f"{child}evaluate.py: error: encode failed on 4 rows of evaluation data\n")
    assert failure.kind is FailureKind.EXCEPTION
    assert failure.summary == "evaluate.py: error: encode failed on 4 rows of evaluation data"
    assert failure.location == Location("experiment.py", 393, "encode")
    assert "RuntimeError: mat1 and mat2 shapes cannot be multiplied" in failure.detail
    assert 'File "experiment.py", line 393, in encode' in failure.detail
    short = diagnose(ended(), "", f"{child}evaluate.py: error: encode failed\n\n  \x1b[0m\n")
    assert short.summary == "evaluate.py: error: encode failed" and short.location == failure.location


def test_words_printed_before_a_crash_are_not_its_reason() -> None:
    failure = diagnose(ended(), "", "evaluate.py: error: handled\n" + crash("ValueError: real"))
    assert failure.summary.startswith("ValueError: real")


def test_memory_that_ran_out_earlier_and_was_handled_is_not_the_failure() -> None:
    log = "CUDA out of memory, trying batch 16\n" * 3
    assert diagnose(ended(), log, log + crash("TypeError: no")).kind is FailureKind.EXCEPTION


@pytest.mark.parametrize(
    ("error", "deeper"),
    [
        ("OSError: [Errno 28] No space left on device: '/w/x.pt'", ""),
        ("OSError: [Errno 122] Disk quota exceeded", ""),
        ("OSError: [Errno 5] Input/output error", ""),
        ("RuntimeError: [enforce fail at inline_container.cc:603] . unexpected pos 64: No space left on device", ""),
        ("requests.exceptions.ConnectionError: HTTPSConnectionPool(host='huggingface.co', port=443)", "requests/a.py"),
        ("requests.exceptions.ReadTimeout: HTTPSConnectionPool", "requests/a.py"),
        ("ConnectionError: Couldn't reach 'fancyzhx/ag_news' on the Hub (LocalEntryNotFoundError)", "datasets/a.py"),
        ("socket.gaierror: [Errno -3] Temporary failure in name resolution", "urllib3/a.py"),
        ("huggingface_hub.errors.LocalEntryNotFoundError: Cannot find the requested files in the disk cache", "h/a.py"),
        ("huggingface_hub.errors.OfflineModeIsEnabled: Cannot reach https://huggingface.co: offline", "h/a.py"),
        ("OSError: We couldn't connect to 'https://huggingface.co' to load the files", "transformers/a.py"),
        ("huggingface_hub.errors.HfHubHTTPError: 503 Server Error: Service Unavailable for url: https://h", "h/a.py"),
        ("urllib.error.URLError: <urlopen error [Errno -2] Name or service not known>", ""),
        ("RuntimeError: CUDA error: no CUDA-capable device is detected", ""),
        ("RuntimeError: The NVIDIA driver on your system is too old (found version 11040).", ""),
        ("RuntimeError: CUDA driver initialization failed, you might not have a CUDA gpu.", ""),
        ("RuntimeError: CUDA error: uncorrectable ECC error encountered", ""),
        ("torch.distributed.DistBackendError: NCCL error: ncclSystemError: System call failed", ""),
        (
            "ImportError: libcudart.so.12: cannot open shared object file: No such file or directory",
            "torch/__init__.py",
        ),
        ("ModuleNotFoundError: No module named 'faiss'", ""),
    ],
)
def test_the_machine_not_the_code(error: str, deeper: str) -> None:
    failure = diagnose(ended(), "", crash(error, deeper=in_library(deeper) if deeper else ""))
    assert failure.kind is FailureKind.INFRASTRUCTURE
    assert error[:60] in failure.summary
    assert as_smoke(failure) == failure


@pytest.mark.parametrize(
    "error",
    [
        "RuntimeError: CUDA error: device-side assert triggered",
        "RuntimeError: CUDA error: an illegal memory access was encountered",
        "RuntimeError: CUDA error: invalid device ordinal",
        "AssertionError: Torch not compiled with CUDA enabled",
        "FileNotFoundError: [Errno 2] No such file or directory: 'data.pt'",
        "PermissionError: [Errno 13] Permission denied: '/etc/x'",
        "OSError: [Errno 30] Read-only file system: '/x'",
        "OSError: foo/bar is not a local folder and is not a valid model identifier listed on 'https://huggingface.co/models'",
        "huggingface_hub.errors.RepositoryNotFoundError: 404 Client Error.",
        "requests.exceptions.HTTPError: 404 Client Error: Not Found for url: https://x/y",
        "ModuleNotFoundError: No module named 'torch.nn.functionals'",
        "ModuleNotFoundError: No module named 'torch.x'; 'torch.x' is not a package",
        "ImportError: cannot import name 'SAE' from 'sae_lens'",
    ],
)
def test_the_code_not_the_machine(error: str) -> None:
    assert diagnose(ended(), "", crash(error)).kind is FailureKind.EXCEPTION


def test_a_missing_module_is_the_codes_fault_where_an_edit_imported_it() -> None:
    missing = crash("ModuleNotFoundError: No module named 'faiss'")
    assert diagnose(ended(), "", missing, edited_imports={"faiss"}).kind is FailureKind.EXCEPTION
    failure = diagnose(ended(), "", missing, edited_imports={"faiss_gpu"})
    assert failure.summary.startswith("the module faiss is missing and no edit imported it")


def test_without_a_gpu_the_code_must_not_ask_for_one() -> None:
    error = crash("RuntimeError: No CUDA GPUs are available")
    assert diagnose(ended(), "", error).kind is FailureKind.INFRASTRUCTURE
    assert diagnose(ended(), "", error, gpu_expected=False).kind is FailureKind.EXCEPTION


def test_a_driver_warning_is_not_why_the_program_left() -> None:
    warning = "torch/cuda/__init__.py:1: UserWarning: CUDA initialization: Found no NVIDIA driver on your system.\n"
    assert diagnose(ended(), "", warning + "bad config\n").kind is FailureKind.EXCEPTION


def test_an_error_raised_while_a_network_error_was_handled_is_the_codes() -> None:
    network = crash("requests.exceptions.ConnectionError: no route", deeper=in_library("requests/a.py"))
    link = "\nDuring handling of the above exception, another exception occurred:\n\n"
    assert (
        diagnose(ended(), "", network + link + crash("NameError: name 'x' is not defined")).kind
        is FailureKind.EXCEPTION
    )
    wrapped = crash("OSError: cannot load", deeper=in_library("transformers/a.py"))
    assert diagnose(ended(), "", network + link + wrapped).kind is FailureKind.INFRASTRUCTURE


def test_faulthandler_names_the_place() -> None:
    text = (
        "Fatal Python error: Segmentation fault\n\nCurrent thread 0x00007f97bee29740 (most recent call first):\n"
        '  File "/usr/lib/python3.11/ctypes/__init__.py", line 519 in string_at\n'
        '  File "/w/experiment.py", line 23 in peek\n  File "/w/experiment.py", line 90 in <module>\n\n'
        "Extension modules: numpy.core._multiarray_umath (total: 1)\n"
    )
    failure = diagnose(ended(None, 11), "", text)
    assert failure.kind is FailureKind.KILLED
    assert failure.summary.endswith("(experiment.py:23 in peek)") and "SIGSEGV" in failure.summary


def test_a_syntax_error_is_told_by_its_line() -> None:
    def broken(line: int, code: str) -> str:
        return f'  File "/w/experiment.py", line {line}\n    {code}\n          ^\nSyntaxError: invalid syntax\n'

    failure = diagnose(ended(), "", broken(12, "def f(:"))
    assert failure.summary == "SyntaxError: invalid syntax (experiment.py:12)"
    assert "    def f(:" in failure.detail
    assert diagnose(ended(), "", broken(40, "def f(:")).fingerprint == failure.fingerprint
    assert diagnose(ended(), "", broken(12, "class :")).fingerprint != failure.fingerprint


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (crash("IndexError: index 5 is out of bounds"), crash("IndexError: index 17 is out of bounds", line=12)),
        (crash("KeyError: 'a'"), crash("KeyError: 'a'", folder="/other/run_4.2/work")),
        (
            crash("RuntimeError: mat1 and mat2 shapes cannot be multiplied (125x2304 and 256x2304)"),
            crash("RuntimeError: mat1 and mat2 shapes cannot be multiplied (64x512 and 128x512)"),
        ),
        (crash("TypeError: f() at 0x7f01ab"), crash("TypeError: f() at 0x7fffcd")),
        (crash("FileNotFoundError: '/tmp/tmpab12cd3e/x.pt'"), crash("FileNotFoundError: '/scratch/7/x.pt'")),
        (crash("ValueError: got nan at step 10"), crash("ValueError: got inf at step 999")),
        (crash("ValueError: shape [2, 3]"), crash("ValueError: shape [2, 3, 4]")),
        (crash("NameError: name 'x' is not defined. Did you mean: 'y'?"), crash("NameError: name 'x' is not defined")),
        (crash("ValueError: a"), BARS + crash("ValueError: a") + "wandb: bye\n"),
    ],
)
def test_the_same_error_has_the_same_fingerprint(one: str, other: str) -> None:
    first = diagnose(ended(), "", one)
    assert diagnose(ended(wall_s=3.0, max_rss_gib=None), "epoch 1\n", other).fingerprint == first.fingerprint


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("AttributeError: 'SAE' object has no attribute 'fc1'", "AttributeError: 'SAE' object has no attribute 'fc2'"),
        ("ValueError: a", "TypeError: a"),
        ("TypeError: expected float32", "TypeError: expected float16"),
        ("FileNotFoundError: '/x/a.pt'", "FileNotFoundError: '/x/b.pt'"),
        ("KeyError: 'lr'", "KeyError: 'l2'"),
    ],
)
def test_different_errors_have_different_fingerprints(one: str, other: str) -> None:
    assert diagnose(ended(), "", crash(one)).fingerprint != diagnose(ended(), "", crash(other)).fingerprint


def test_the_function_and_the_exit_tell_failures_apart() -> None:
    prints = {
        diagnose(ended(), "", crash("ValueError: a", function=name)).fingerprint for name in ("f", "g", "<module>")
    } | {diagnose(ended(code), "", BARS).fingerprint for code in (1, 2, 137)}
    assert len(prints) == 6


def test_detail_is_bounded_and_keeps_what_matters() -> None:
    frames = "".join(
        f'  File "/w/experiment.py", line {i}, in f{i}\n    ' + "y = 1 + " * 200 + "\n" for i in range(300)
    )
    error = "ValueError: " + "x" * 50_000
    text = f"{'noise ' * 50_000}\nTraceback (most recent call last):\n{frames}{error}\n" + "bye\n" * 9
    failure = diagnose(ended(), "line\n" * 10_000 + "last of stdout\n", text)
    assert len(failure.detail) <= 6000 and len(failure.summary) < 500 and "\n" not in failure.summary
    assert "in f299" in failure.detail and "ValueError: xxx" in failure.detail
    assert "last of stdout" in failure.detail and "How it ended: exit code 1" in failure.detail


def test_long_messages_of_several_lines_stay_together() -> None:
    error = 'RuntimeError: Error(s) in loading state_dict for SAE:\n\tMissing key(s): "W".\n\tsize mismatch for b'
    failure = diagnose(ended(), "", crash(error))
    assert failure.summary.startswith("RuntimeError: Error(s) in loading state_dict for SAE: (")
    assert "size mismatch for b" in failure.detail


def test_other_own_files_count() -> None:
    text = crash("ValueError: a", deeper='  File "/w/models/sae.py", line 4, in encode\n    boom\n')
    failure = diagnose(ended(), "", text, own_files=("experiment.py", "models/sae.py"))
    assert failure.location == Location("models/sae.py", 4, "encode")
    assert diagnose(ended(), "", text).location == Location("experiment.py", 393, "train")


def test_a_librarys_experiment_py_is_not_ours() -> None:
    failure = diagnose(ended(), "", crash("ValueError: a", deeper=in_library("mlkit/experiment.py")))
    assert failure.location == Location("experiment.py", 393, "train")


def test_no_results() -> None:
    failure = no_results(ended(0), "done\n", "", "run_1/final_info.json")
    assert failure.kind is FailureKind.NO_RESULTS
    assert failure.summary == "the process ended without an error but wrote no run_1/final_info.json"
    assert failure.fingerprint == no_results(ended(0), "ok\n", BARS, "run_2/final_info.json").fingerprint
    survived = no_results(ended(0), "", crash("ValueError: caught"), "run_1/final_info.json")
    assert "ValueError: caught" in survived.summary and survived.location is not None
    assert survived.fingerprint != failure.fingerprint


def test_bad_results() -> None:
    problems = ["f1 (evaluation.json: ['f1']) is NaN", "loss (final_info.json: ['loss']) is missing"]
    failure = bad_results(ended(0), "step 3 loss nan\n", "", problems)
    assert failure.kind is FailureKind.BAD_RESULTS
    assert failure.summary == "f1 (evaluation.json: ['f1']) is NaN (and 1 more)"
    assert "- loss (final_info.json: ['loss']) is missing" in failure.detail and "step 3 loss nan" in failure.detail
    assert failure.fingerprint == bad_results(ended(0), "", "", problems[::-1]).fingerprint
    assert failure.fingerprint != bad_results(ended(0), "", "", problems[:1]).fingerprint
    assert bad_results(ended(0), "", "", ["x" * 9000] * 99).detail[6000:] == ""
    assert bad_results(ended(0), "", "", []).summary


def test_lint_findings() -> None:
    failure = lint_failure(
        ["experiment.py:276:29: F821 undefined name 'c_assign'\n    loss = c_assign\n    ^", "a.py:1:1: E999 x"]
    )
    assert failure.kind is FailureKind.LINT
    assert failure.summary == "experiment.py:276:29: F821 undefined name 'c_assign' (and 1 more)"
    assert failure.location == Location("experiment.py", 276, "")
    assert "loss = c_assign" in failure.detail
    moved = lint_failure(["./a.py:9:4: E999 x", "experiment.py:300:1: F821 undefined name 'c_assign'"])
    assert moved.fingerprint == failure.fingerprint
    assert lint_failure(["experiment.py:276:29: F821 undefined name 'd'"]).fingerprint != failure.fingerprint
    assert len(lint_failure([f"experiment.py:{i}:1: F821 undefined name 'n{i}'" for i in range(999)]).detail) <= 6000
    assert lint_failure(['experiment.py:9: error: Missing argument "lr"  [call-arg]']).location == Location(
        "experiment.py", 9, ""
    )
    assert lint_failure([]).summary


def test_a_smoke_failure_keeps_the_fingerprint_of_the_error() -> None:
    failure = diagnose(ended(), "", crash("ValueError: a"))
    smoke = as_smoke(failure)
    assert smoke.kind is FailureKind.SMOKE and smoke.fingerprint == failure.fingerprint
    assert smoke.summary == f"in the smoke run: {failure.summary}" and smoke.location == failure.location


def test_an_edit_that_led_nowhere() -> None:
    failure = Failure.of_edit("block 2 of\nexperiment.py not found", "x\n" * 9000)
    assert failure.kind is FailureKind.EDIT and failure.summary == "block 2 of experiment.py not found"
    assert len(failure.detail) <= 6000
    assert failure.fingerprint == Failure.of_edit("block 3 of experiment.py not found", "").fingerprint


def test_a_failure_goes_through_the_journal_unchanged() -> None:
    failure = diagnose(ended(), "", crash("ValueError: a"))
    adapter = TypeAdapter(Failure)
    assert adapter.validate_json(adapter.dump_json(failure)) == failure


def test_the_supervisor_imports_nothing_heavy_with_it() -> None:
    seen: set[str] = set()
    waiting = ["agent.core.failure.diagnose"]
    while waiting:
        name = waiting.pop()
        seen.add(name)
        tree = ast.parse(inspect.getsource(importlib.import_module(name)))
        named = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        named |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        waiting += [each for each in named if each.startswith("agent") and each not in seen]
        assert {each.split(".")[0] for each in named} <= {*sys.stdlib_module_names, "agent"}
    assert {name.rpartition(".")[0] for name in seen} == {"agent.core.failure", "agent.core.text"}


_fragments = st.sampled_from(
    [
        *("\n", "\n", "\n", "\r", "\x08", "\x1b[31m", "\x00", "\ud800", "é", "", '"""', "error", "[rank0]: ", "  | "),
        "Traceback (most recent call last):",
        '  File "experiment.py", line 3, in f',
        "    x = 1\n    ^^^^",
        "ValueError: x",
        "KeyboardInterrupt",
        " 33%|███▎ | 1/3 [00:04<00:08, 4.2s/it]",
        "Exception ignored in: x\n",
        "The above exception was the direct cause of the following exception:",
        "  + Exception Group ",
        "Fatal Python error: x",
        "Current thread 0x1 (most recent call first):",
        "[Previous line repeated 9 more times]",
    ]
)


@examples(50)
@given(
    st.lists(_fragments, max_size=30).map("".join), st.lists(_fragments, max_size=10).map("".join), st.integers(-9, 140)
)
@example("Traceback (most recent call last):", "", 1)
@example("Traceback (most recent call last):\nValueError: x", "", 1)
@example("Current thread 0x1 (most recent call first):", "", -6)
def test_any_output_gives_a_diagnosis(stderr: str, stdout: str, code: int) -> None:
    failure = diagnose(ended(code), stdout, stderr)
    assert failure.summary and "\n" not in failure.summary and len(failure.summary) <= 480
    assert "How it ended: " in failure.detail and len(failure.detail) <= 6000
    failure.detail.encode()
    assert "\x1b" not in failure.detail and "\x00" not in failure.detail and "\r" not in failure.detail
    assert diagnose(ended(code, wall_s=1.0), stdout, stderr).fingerprint == failure.fingerprint


def test_a_command_whose_output_was_lost_is_the_machines_failure() -> None:
    exit = ExitRecord(1, None, False, False, 60.0, 1.0, None, f"{LOST_OUTPUT}stderr.txt: No space left on device")
    found = diagnose(exit, "", "")
    assert found.kind is FailureKind.INFRASTRUCTURE
    assert found.summary == "its output could not be kept: stderr.txt: No space left on device"


@pytest.mark.parametrize(
    "headline",
    [
        "urllib.error.URLError: <urlopen error [Errno -3] Temporary failure in name resolution>",
        "RuntimeError: Error downloading train-images-idx3-ubyte.gz:",
        "OSError: We couldn't connect to 'https://huggingface.co' to load the files",
        "subprocess.CalledProcessError: curl: (6) Could not resolve host: example.org",
    ],
)
def test_a_download_that_fails_is_told_as_a_run_without_network(headline: str) -> None:
    told = crash(headline)
    offline = diagnose(ended(offline=True), "", told)
    assert offline.kind is FailureKind.EXCEPTION and offline.summary.startswith("runs have no network: ")
    assert remedy_for(offline).startswith("download what it needs first and give the folder with --data")
    online = diagnose(ended(), "", told)
    assert online.kind is FailureKind.INFRASTRUCTURE and remedy_for(online) == ""
    assert remedy_for(diagnose(ended(None, 9, timed_out=True), "", "")) == "launch with a longer --run-s"
    for path, is_own in (("points.tsv", True), ("data/a.csv", True), ("/srv/a.csv", False)):
        told = crash(f"FileNotFoundError: [Errno 2] No such file or directory: '{path}'")
        remedy = remedy_for(diagnose(ended(), "", told))
        assert remedy.startswith("put it into the template's folder, or name") == is_own
    no_metric = bad_results(ended(0), "", "", [f"final_info.json {NO_MEANS}"])
    assert remedy_for(no_metric) == "name its numbers as [[metrics]] in template.toml"
