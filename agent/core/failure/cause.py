"""Whether an error message means that memory ran out or that the machine, not the code, failed."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final

from agent.core.failure.traceback import DURING_HANDLING, Chain, own_name

__all__ = ["NETWORK", "OFFLINE", "find_infrastructure", "ran_out_of_memory", "relevant_headlines"]

# "torch.cuda.OutOfMemoryError: CUDA out of memory", "std::bad_alloc"
_OUT_OF_MEMORY: Final = re.compile(
    r"MemoryError\b|OutOfMemoryError\b|(?:CUDA|HIP|MPS backend)(?: error:)? out of memory"
    r"|DefaultCPUAllocator: (?:can't|not enough)|std::bad_alloc|(?:CUBLAS|CUDNN|CUSOLVER)_STATUS_ALLOC_FAILED"
    r"|DataLoader worker .{0,40}killed by signal: Killed"
    r"|RESOURCE_EXHAUSTED: Out of memory|Cannot allocate memory|Unable to allocate .{1,40} for an array"
    r"|oom[-_ ]kill|Out of memory: Killed process|Killed process \d+ .*total-vm",
    re.IGNORECASE,
)

NETWORK: Final = "the network or a hub cannot be reached"
OFFLINE: Final = "runs have no network"
_MACHINE: Final[tuple[tuple[str, re.Pattern[str]], ...]] = tuple(
    (label, re.compile(pattern))
    for label, pattern in (
        # "OSError: [Errno 28] No space left on device"
        ("no space left on the disk", r"No space left on device|\bENOSPC\b|\[Errno 28\]"),
        # "OSError: [Errno 122] Disk quota exceeded"
        ("disk quota exceeded", r"Disk quota exceeded|\bEDQUOT\b|\[Errno 122\]"),
        # "OSError: [Errno 5] Input/output error"
        ("the disk failed", r"\[Errno 5\]|Input/output error|Stale (?:NFS )?file handle|Transport endpoint is not"),
        # "requests.exceptions.ConnectionError: ...", "socket.gaierror: Name or service not known"
        (
            NETWORK,
            r"^(?:requests|urllib3|httpx|httpcore|aiohttp)\.[\w.]*(?:Connect\w*|Timeout\w*|Proxy|SSL|MaxRetry|NameRes\w*"
            r"|ProtocolError|RemoteProtocol)\w*|^ConnectionError\b|gaierror|name resolution|Name or service not known"
            r"|LocalEntryNotFoundError|OfflineModeIsEnabled|[Cc]ouldn't connect to ['\"]?https?://|Max retries exceeded"
            r"|Network is unreachable|No route to host|couldn't reach .*hub|Couldn't reach ['\"]?https?://"
            r"|Couldn't reach .* on the Hub|50[0234] (?:Server Error|Bad Gateway|Service Unavailable)"
            r"|urlopen error (?:\[Errno|timed out|<)|[Cc]ould not resolve host|unable to resolve host"
            r"|Error downloading |NLTK Downloader to obtain",
        ),
        # "RuntimeError: No CUDA GPUs are available"
        (
            "the accelerator or its driver failed",
            r"CUDA driver|no CUDA-capable device|No CUDA GPUs are available|NVIDIA driver|fallen off the bus"
            r"|GPU is lost|[Dd]evice lost|\bECC error|[Dd]river/library version mismatch"
            r"|devices? (?:\(?s?\)? ?is/are|are) busy or unavailable|system not yet initialized"
            r"|ncclSystemError|ncclInternalError|ncclUnhandledCudaError|ncclRemoteError|unhandled system error|NVML",
        ),
        # "ImportError: libcudnn.so.8: cannot open shared object file"
        ("a system library is missing", r"\.so(?:\.\d+)*: cannot open shared object file|GLIBC\w*_[\d.]+' not found"),
    )
)
# "Found no NVIDIA driver on your system"
_NEEDS_GPU: Final = re.compile(r"No CUDA GPUs are available|NVIDIA driver|no CUDA-capable device")
# "ModuleNotFoundError: No module named 'einops'"
_MISSING_MODULE: Final = re.compile(r"ModuleNotFoundError: No module named ['\"]?(?P<name>[\w.]+)")


def relevant_headlines(chain: Chain, own_files: Collection[str]) -> list[str]:
    """The exceptions that tell the cause, last first, back to one that the experiment's own handler raised."""
    headlines: list[str] = []
    for raised in reversed(chain):
        headlines.append("\n".join([raised.headline, *raised.more]))
        is_own = bool(raised.frames) and own_name(raised.frames[-1].file, own_files) is not None
        if raised.relation == DURING_HANDLING and is_own:
            break
    return headlines


def ran_out_of_memory(texts: Sequence[str]) -> bool:
    return any(_OUT_OF_MEMORY.search(text) for text in texts)


def find_infrastructure(
    texts: Sequence[str], edited_imports: Collection[str], *, gpu_expected: bool, online: bool = True
) -> str | None:
    """The part of the machine that failed, or None if the code did.

    A missing module is the machine's fault unless an edit imported it, or only a submodule of one is missing. The
    network is the machine's fault only if a run may use it (`online`).
    """
    for text in texts:
        for label, pattern in _MACHINE:
            if label == NETWORK and not online:
                continue
            if pattern.search(text) and (gpu_expected or not _NEEDS_GPU.search(text)):
                return label
        missing = _MISSING_MODULE.search(text)
        if missing and "." not in missing["name"] and missing["name"] not in edited_imports:
            return f"the module {missing['name']} is missing and no edit imported it"
    return None
