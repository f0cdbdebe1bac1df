"""Which device files a step is given, on a made-up /dev."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.edges.sandbox.gpus import Gpus, find_gpus, name_gpus

# In PCI order the second is minor 0: numbers of CUDA and of files need not agree.
DRIVERS = {"0000:01:00.0": ("GPU-aaaa-1", 1), "0000:41:00.0": ("GPU-bbbb-2", 0), "0000:81:00.0": ("GPU-cccc-3", 2)}
SHARED = ("nvidiactl", "nvidia-uvm")


@pytest.fixture
def machine(tmp_path: Path) -> tuple[Path, Path]:
    dev, drivers = tmp_path / "dev", tmp_path / "gpus"
    dev.mkdir()
    for name in (*SHARED, "nvidia0", "nvidia1", "nvidia2"):
        (dev / name).touch()
    for address, (uuid, minor) in DRIVERS.items():
        (drivers / address).mkdir(parents=True)
        (drivers / address / "information").write_text(f"Model: \t x\nGPU UUID: \t {uuid}\nDevice Minor: \t {minor}\n")
    return dev, drivers


@pytest.mark.parametrize(
    ("visible", "names", "inside"),
    [
        (None, ("nvidia0", "nvidia1", "nvidia2"), None),
        ("0", ("nvidia1",), "0"),
        ("2", ("nvidia2",), "0"),
        ("2,0", ("nvidia2", "nvidia1"), "1,0"),
        ("GPU-bbbb", ("nvidia0",), "0"),
        ("MIG-5c6d", ("nvidia0", "nvidia1", "nvidia2"), None),
        ("7", ("nvidia0", "nvidia1", "nvidia2"), None),
    ],
)
def test_only_the_named_ones_exist_and_are_counted_from_0(
    machine: tuple[Path, Path], visible: str | None, names: tuple[str, ...], inside: str | None
) -> None:
    dev, drivers = machine
    expected = Gpus(tuple(str(dev / name) for name in (*names, *SHARED)), inside)
    assert find_gpus(visible, dev=dev, drivers=drivers) == expected


def test_numbers_count_those_alone_that_a_job_may_open(machine: tuple[Path, Path]) -> None:
    dev, drivers = machine
    for name in ("nvidia0", "nvidia1"):
        (dev / name).unlink()
    assert find_gpus("0", dev=dev, drivers=drivers).devices[0] == str(dev / "nvidia2")


@pytest.mark.parametrize("visible", ["", "-1", "none"])
def test_none_where_none_is_wanted(machine: tuple[Path, Path], visible: str) -> None:
    assert find_gpus(visible, dev=machine[0], drivers=machine[1]) == Gpus((), "")


def test_amd_ones_are_given_whole(tmp_path: Path) -> None:
    (tmp_path / "dri").mkdir()
    for name in ("kfd", "dri/renderD128", "dri/card0"):
        (tmp_path / name).touch()
    found = find_gpus("0", dev=tmp_path, drivers=tmp_path)
    assert found == Gpus((str(tmp_path / "kfd"), str(tmp_path / "dri" / "renderD128")))


def test_a_machine_without(tmp_path: Path) -> None:
    assert find_gpus(None, dev=tmp_path, drivers=tmp_path) == Gpus()


def test_models_are_those_of_the_gpus_that_a_step_sees(machine: tuple[Path, Path]) -> None:
    dev, drivers = machine
    for address, model in (("0000:01:00.0", "NVIDIA H200"), ("0000:41:00.0", "Tesla T4")):
        place = drivers / address / "information"
        place.write_text(place.read_text().replace("Model: \t x", f"Model: \t\t {model}"))
    assert name_gpus("0", dev=dev, drivers=drivers) == ("NVIDIA H200",)
    assert name_gpus(None, dev=dev, drivers=drivers) == ("NVIDIA H200", "Tesla T4", "x")
    assert name_gpus("-1", dev=dev, drivers=drivers) == name_gpus("", dev=dev, drivers=drivers) == ()
    assert name_gpus(None, dev=dev, drivers=drivers / "none") == ("NVIDIA GPU",) * 3
