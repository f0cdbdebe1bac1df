"""Device files of the GPUs that a step may use. It cannot open any others."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["NO_GPUS", "Gpus", "find_gpus", "has_nvidia_driver", "name_gpus"]

_NVIDIA_SHARED = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset")
# "GPU UUID: \t GPU-1a2b3c4d-..."
_UUID = re.compile(r"GPU UUID:\s*(\S+)")
# "Device Minor: \t 0"
_MINOR = re.compile(r"Device Minor:\s*(\d+)")
# "Model: \t\t NVIDIA H200"
_MODEL = re.compile(r"Model:\s*(\S.*)")
# "/dev/nvidia0"
_DEVICE = re.compile(r"/nvidia(\d+)$")
_NONE = frozenset({"", "-1", "NoDevFiles", "none", "void"})


@dataclass(frozen=True, slots=True)
class Gpus:
    """GPUs of a step. devices: paths under /dev.

    visible: CUDA_VISIBLE_DEVICES if only these exist. None leaves the variable as it is.
    """

    devices: tuple[str, ...] = ()
    visible: str | None = None


NO_GPUS = Gpus()


def has_nvidia_driver() -> bool:
    """Whether a GPU of NVIDIA's can be expected on this machine."""
    return Path("/dev/nvidiactl").exists()


def find_gpus(
    visible: str | None, *, dev: Path = Path("/dev"), drivers: Path = Path("/proc/driver/nvidia/gpus")
) -> Gpus:
    """The GPUs that CUDA_VISIBLE_DEVICES names, by number in PCI order or by UUID. All, if it is not set.

    AMD's cannot be told apart by their files, and multi-instance GPUs are given whole.
    """
    amd = tuple(str(p) for p in (dev / "kfd", *sorted(dev.glob("dri/renderD*"))) if (dev / "kfd").exists())
    shared = tuple(str(dev / name) for name in _NVIDIA_SHARED if (dev / name).exists())
    if not shared:
        return Gpus(amd)
    shared += tuple(str(p) for p in sorted(dev.glob("nvidia-caps/*")))
    every = tuple(str(p) for p in sorted(dev.glob("nvidia[0-9]*")))
    if visible is None or "MIG-" in visible:
        return Gpus((*every, *shared))
    if visible.strip() in _NONE:
        return Gpus((), "")
    # Of a job's cgroup CUDA counts those alone that it may open; access() knows them.
    known = [gpu for gpu in _read_drivers(drivers) if os.access(dev / f"nvidia{gpu[2]}", os.R_OK | os.W_OK)]
    chosen = [_find(word.strip(), known) for word in visible.split(",")]
    minors = [minor for minor in chosen if minor is not None]
    if len(minors) < len(chosen):
        return Gpus((*every, *shared))  # no list of the driver's: the variable alone says which
    paths = tuple(dict.fromkeys(str(dev / f"nvidia{minor}") for minor in minors))
    order = sorted(known, key=lambda gpu: gpu[0])
    among = [gpu[2] for gpu in order if gpu[2] in minors]
    return Gpus((*paths, *shared), ",".join(str(among.index(minor)) for minor in minors))


def _read_drivers(folder: Path) -> list[tuple[str, str, int]]:
    """PCI address, UUID and minor number of each GPU that the driver lists."""
    found = []
    for place in sorted(folder.glob("*/information")):
        text = place.read_text("utf-8", "replace")
        uuid, minor = _UUID.search(text), _MINOR.search(text)
        if uuid and minor:
            found.append((place.parent.name, uuid[1], int(minor[1])))
    return found


def _find(word: str, known: list[tuple[str, str, int]]) -> int | None:
    if word.isdigit():
        return known[int(word)][2] if int(word) < len(known) else None
    return next((minor for _, uuid, minor in known if word.startswith("GPU-") and uuid.startswith(word)), None)


def name_gpus(
    visible: str | None, *, dev: Path = Path("/dev"), drivers: Path = Path("/proc/driver/nvidia/gpus")
) -> tuple[str, ...]:
    """Models of the GPUs that a step may use; of one that no driver names, its maker. visible: as find_gpus has it."""
    if visible is not None and visible.strip() in _NONE:
        return ()
    devices = find_gpus(visible, dev=dev, drivers=drivers).devices
    models = {}
    for place in sorted(drivers.glob("*/information")):
        text = place.read_text("utf-8", "replace")
        minor, model = _MINOR.search(text), _MODEL.search(text)
        if minor and model:
            models[minor[1]] = model[1].strip()
    minors = [found[1] for device in devices if (found := _DEVICE.search(device))]
    amd = ["AMD GPU" for device in devices if "/renderD" in device]
    return tuple(sorted([models.get(minor, "NVIDIA GPU") for minor in minors] + amd))
