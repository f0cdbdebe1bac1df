"""The attacks as data: how the host sees that one succeeded, and the expected result on each rung."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.attacks.host import Scene
from tests.attacks.services import LIBC, SECRETS, remove_queue, remove_segment

# Folder of a virtual environment's packages: "python3.11".
PYTHON = f"python{sys.version_info[0]}.{sys.version_info[1]}"

__all__ = ["ATTACKS", "NO_ATTACK", "SERVED", "Attack", "Expected", "Played", "is_wrong"]

Expected = Literal["blocked", "gap", "open", "either", "not tried"]


@dataclass(frozen=True, slots=True)
class Played:
    """Result of one attack by its own account: whether it succeeded (`got`) and its words (`said`)."""

    got: bool
    said: str
    scene: Scene
    place: Path


Shows = Callable[[Played], bool]


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack and its expected result on each rung. "either" means that the machine decides."""

    name: str
    # Looks from the host whether the attack succeeded.
    shows: Shows = field(repr=False)
    bwrap: Expected = "blocked"
    landlock: Expected = "blocked"
    off: Expected = "open"
    # Instead of `off` for an ordinary user who could not do it anyway.
    off_user: Expected | None = None
    # Words of the sandbox's gaps that name the attack, if Landlock may leave it open.
    gap: str = ""

    def expected(self, rung: str, player: str) -> Expected:
        """The expected result on a rung."""
        if rung == "off" and player == "user" and self.off_user:
            return self.off_user
        return {"bwrap": self.bwrap, "landlock": self.landlock, "off": self.off}[rung]


def is_wrong(expected: Expected, got: bool) -> bool:
    """Whether the result is not the expected one."""
    return (expected == "blocked" and got) or (expected == "open" and not got)


def word() -> Shows:
    """The system call's own answer, of which nothing is seen outside. It must succeed if nothing stops it."""
    return lambda played: played.got


def stole(secret: str) -> Shows:
    """The secret came out."""
    return lambda played: SECRETS[secret] in played.said


def changed(*names: str) -> Shows:
    """Files outside are not as they were, or there are new ones."""

    return lambda played: not played.scene.changed.isdisjoint(names)


def in_workspace(*names: str) -> Shows:
    return changed(*(f"workspaces/batch/momentum/{name}" for name in names))


def in_template(*names: str) -> Shows:
    def look(played: Played) -> bool:
        folder = played.scene.template.folder.relative_to(played.scene.folder)
        return changed(*(f"{folder}/{name}" for name in names))(played)

    return look


def in_place(name: str, text: str) -> Shows:
    """A record of the step holds a text that it must not hold."""

    def look(played: Played) -> bool:
        path = played.place / name
        return path.exists() and text in path.read_text(errors="replace")

    return look


def read_file(path: str) -> Shows:
    """The first line of a file of the host's came out."""
    return lambda played: Path(path).read_text().splitlines()[0] in played.said


def heard(name: str) -> Shows:
    return lambda played: name in played.scene.heard


def signalled(number: int) -> Shows:
    def look(played: Played) -> bool:
        noted = played.scene.folder / "secrets" / "signals0"
        return noted.exists() and str(number) in noted.read_text().split()

    return look


def mode_of(name: str, bit: int) -> Shows:
    """A file of the machine's has a bit that it did not have."""

    def look(played: Played) -> bool:
        path = Path(name if name.startswith("/") else played.scene.facts[name])
        before = played.scene.modes[path]
        return bool(path.stat().st_mode & ~before & bit)

    return look


def device_in_work(name: str) -> Shows:
    def look(played: Played) -> bool:
        path = played.place / "work" / name
        return path.is_block_device() or path.is_char_device()

    return look


def _decoy(played: Played) -> int:
    return played.scene.decoys[0].pid


def _is_stopped(played: Played) -> bool:
    return Path(f"/proc/{_decoy(played)}/stat").read_text().rpartition(")")[2].split()[0] in "tT"


def _is_limited(played: Played) -> bool:
    lines = Path(f"/proc/{_decoy(played)}/limits").read_text().splitlines()
    return any(line.startswith("Max msgqueue") and " 4096 " in line for line in lines)


def _outlived(played: Played) -> bool:
    import time

    alive = played.place / "work" / "alive"
    assert alive.exists(), "the process that is to outlive the run did not begin"
    size = alive.stat().st_size
    time.sleep(0.15)
    return alive.stat().st_size > size


def _file_rows() -> list[Attack]:
    seen = "found out"
    reading = {
        "read_home_key": stole("key"),
        "read_git_folder": stole("git"),
        "read_blobs": stole("blobs"),
        "read_holder": stole("holder"),
        "read_inbox": stole("inbox"),
        "read_journal": lambda played: "Title of momentum" in played.said,
        "read_own_records": lambda played: '"deadline_s"' in played.said,
        "read_other_idea": stole("other"),
        "read_evaluation_data": stole("answers"),
        "read_evaluation_data_beside": stole("answers"),
        "read_hidden_profile": lambda played: '"target"' in played.said,
        "read_through_planted_link": stole("key"),
        "read_through_root_link": stole("key"),
    }
    writing = {
        "write_outside": changed("victims/write"),
        "create_outside": changed("victims/created"),
        "truncate_outside": changed("victims/truncate"),
        "chmod_outside": changed("victims/chmod"),
        "utime_outside": changed("victims/utime"),
        "set_attribute_outside": changed("victims/setxattr"),
        "rename_outside": changed("victims/rename"),
        "unlink_outside": changed("victims/unlink"),
        "hard_link_outside": changed("victims/link"),
        "symlink_outside": changed("victims/symlinked"),
        "move_in_from_outside": changed("victims/moved"),
        "write_home": changed("home/.ssh/authorized_keys"),
        "write_other_idea": changed("workspaces/batch/other/experiment.py"),
        "edit_sealed": in_template("sealed/evaluate.py"),
        "edit_sealed_after_chmod": in_template("sealed/second.py"),
        "edit_sealed_through_descriptor": in_template("sealed/third.py"),
        "edit_sealed_through_root": in_template("sealed/fourth.py"),
        "swap_sealed_folder": in_template("sealed/gone"),
        "swap_template": changed("decoy_template.gone"),
        "edit_template": in_template("template.toml"),
        "lengthen_own_time": in_place("spec.json", "attacked"),
        "forge_exit": in_place("exit.json.forged", "attacked"),
        "forge_claim": in_place("claim.forged", "attacked"),
        "write_journal": in_workspace(".agent/journal.jsonl"),
        "write_blobs": in_workspace(".agent/blobs/secret"),
        "write_inbox": in_workspace(".agent/inbox/forged"),
        "plant_git_hook": in_workspace(".git/hooks/pre-commit"),
        "write_git_config": in_workspace(".git/config"),
        "plant_git_attributes": in_workspace(".gitattributes"),
        "write_published": in_workspace("run_1/weights.bin"),
        "write_published_through_link": in_workspace("run_1/final_info.json"),
        "rename_published": in_workspace("run_9"),
        "hard_link_published": in_workspace("run_1/linked.bin"),
        "plant_sitecustomize": changed(f"venv/lib/{PYTHON}/site-packages/sitecustomize.py"),
        "plant_path_file": changed(f"venv/lib/{PYTHON}/site-packages/evil.pth"),
        "plant_usercustomize": changed(f"home/.local/lib/{PYTHON}/site-packages/usercustomize.py"),
        "plant_compiled_module": in_template(f"sealed/__pycache__/evaluate.{sys.implementation.cache_tag}.pyc"),
    }
    machine = [
        Attack("read_password_hashes", read_file("/etc/shadow"), off_user="blocked"),
        Attack("read_extended_attribute", stole("attribute"), landlock="gap", off="either", gap=seen),
        Attack("chown_outside", changed("victims/chown"), off_user="blocked"),
        Attack("set_flags_outside", changed("victims/flags"), off="either"),
        Attack("set_flags_of_given", changed("data/training/train.txt"), off="either"),
        Attack("watch_outside", word()),
        Attack("change_null_device", mode_of("/dev/null", 0o1000), off_user="blocked"),
        Attack("change_standard_input", mode_of("/dev/null", 0o001), off="blocked"),
        Attack("change_first_program", mode_of("bwrap", 0o1000), off_user="blocked"),
        Attack("list_descriptors", word(), off="blocked"),
        Attack("make_setuid_file", _made_setuid),
        Attack("use_null_device", lambda played: "it works" not in played.said, off="blocked"),
    ]
    rows = [Attack(name, shows) for name, shows in (reading | writing).items()]
    by_mode = {"edit_sealed", "lengthen_own_time"}
    # A sealed file is read-only to an ordinary user who does not change its mode first; spec.json is root's here.
    return [*(Attack(r.name, r.shows, off_user="blocked") if r.name in by_mode else r for r in rows), *machine]


def _network_rows() -> list[Attack]:
    names = ("connect_ipv4", "connect_ipv6", "send_udp", "connect_abstract", "connect_pathname", "send_datagram")
    return [
        *(Attack(name, heard(name), off="either" if name == "connect_ipv6" else "open") for name in names),
        Attack("resolve_name", word(), off="either"),
        Attack("open_vsock", word(), off="either"),
        Attack("open_raw_socket", word(), off_user="blocked"),
        Attack("open_packet_socket", word(), off_user="blocked"),
        Attack("open_crypto_socket", word(), off="either"),
    ]


def _process_rows() -> list[Attack]:
    return [
        Attack("read_environ", stole("key")),
        Attack("read_any_environ", stole("key")),
        Attack("write_first_process", word(), off="either"),
        Attack("read_command_lines", stole("line"), landlock="gap", gap="command lines"),
        Attack("read_memory", stole("memory")),
        Attack("read_memory_by_call", stole("memory")),
        Attack("trace_process", stole("memory")),
        Attack("read_through_its_root", stole("key")),
        Attack("read_through_its_folder", stole("key")),
        Attack("read_its_descriptor", stole("held")),
        Attack("take_its_descriptor", stole("held")),
        Attack("compare_processes", word(), off="either"),
        Attack("read_supervisor", word()),
        Attack("signal_process", signalled(10)),
        Attack("signal_by_descriptor", signalled(12)),
        Attack("signal_everybody", signalled(23), off="not tried"),
        Attack("limit_process", _is_limited),
        Attack("lower_priority", lambda played: os.getpriority(os.PRIO_PROCESS, _decoy(played)) == 7),
        Attack(
            "lower_priority_of_user",
            lambda played: os.getpriority(os.PRIO_PROCESS, played.scene.decoys[2].pid) == 9,
        ),
        Attack("make_idle", lambda played: os.sched_getscheduler(_decoy(played)) == os.SCHED_IDLE),
        Attack("lower_disk_priority", lambda played: LIBC.syscall(252, 1, _decoy(played)) == 3 << 13),
        Attack(
            "bind_to_one_core",
            lambda played: os.sched_getaffinity(_decoy(played)) != played.scene.affinity,
            landlock="gap",
            off="open" if os.cpu_count() != 1 else "either",
            gap="slowed down",
        ),
        Attack("read_shared_segment", stole("segment")),
        Attack("leave_shared_segment", lambda played: remove_segment(played.scene.facts["left_segment"])),
        Attack("leave_message_queue", lambda played: remove_queue(played.scene.facts["left_segment"])),
        Attack("relaunch_supervisor", changed("decoy_step/claim")),
        Attack("outlive_the_run", _outlived, off="blocked"),
        Attack("stop_process", _is_stopped),
        Attack("kill_process", lambda played: played.scene.decoys[1].poll() is not None),
    ]


def _kernel_rows() -> list[Attack]:
    root_only = (
        *("enter_mount_namespace", "enter_other_namespaces", "join_namespace", "mount_at_home", "mount_anew"),
        *("change_root", "open_disk", "open_kernel_log", "change_core_pattern", "change_settings"),
        *("press_system_request", "change_kernel_objects", "spare_itself", "raise_limits", "call_bpf", "call_perf"),
        *("open_virtual_machine", "open_loop_device", "write_release_agent", "gain_capabilities", "call_userfaultfd"),
    )
    decided_by_machine = {
        *("open_disk", "open_kernel_log", "open_virtual_machine", "open_loop_device", "call_perf", "call_bpf"),
        *("press_system_request", "change_kernel_objects", "write_release_agent", "call_userfaultfd"),
        *("change_settings", "spare_itself", "raise_limits", "mount_anew"),
    }
    either = (
        *("enter_user_namespace", "clone_into_namespace", "clone3_into_namespace", "open_memory", "open_fuse"),
        *("type_into_terminal", "call_io_uring", "call_keyctl", "add_a_key", "open_by_handle"),
        *("enter_as_i386", "enter_as_x32"),
    )
    return [
        *(
            Attack(name, word(), off="either" if name in decided_by_machine else "open", off_user="either")
            for name in root_only
        ),
        *(Attack(name, word(), off="either") for name in either),
        Attack("fill_device_folder", _filled, off_user="blocked"),
        Attack("mount_over", lambda played: _is_mounted(played), off_user="blocked"),
        Attack("make_block_device", device_in_work("disk"), off_user="blocked"),
        Attack("make_character_device", device_in_work("memory"), off_user="blocked"),
        Attack("run_setuid_program", lambda played: played.got and played.scene.player.uid != 0, off="either"),
    ]


def _made_setuid(played: Played) -> bool:
    return any(path.lstat().st_mode & 0o6000 for path in (played.place / "work").iterdir())


def _filled(played: Played) -> bool:
    path = Path("/dev", played.scene.facts["filler"])
    there = path.exists() or played.got
    path.unlink(missing_ok=True)
    return there


def _is_mounted(played: Played) -> bool:
    place = played.scene.facts["mountpoint"]
    if not os.path.ismount(place):
        return False
    LIBC.umount2(place.encode(), 2)
    return True


# What code of a run may try besides that an evaluator serves: its evaluator is one more process, with data of its own.
_SERVED_ONLY = (
    Attack("read_evaluator_environ", lambda played: "SCIENTIST_EVALUATION_DATA=" in played.said),
    Attack("read_evaluator_file", stole("answers")),
    Attack("signal_evaluator", lambda played: (played.place / "work" / "signalled").exists()),
    Attack("forge_evaluation", lambda played: (played.place / "work" / "forged").exists()),
)
ATTACKS = (*_file_rows(), *_network_rows(), *_kernel_rows(), *_process_rows())
NO_ATTACK = "use_null_device"  # it must go on working: "blocked" says that it does
_NOT_SERVED = {
    *("outlive_the_run", "read_supervisor", "list_descriptors", "change_first_program", "raise_limits"),
    *("change_standard_input", "write_published_through_link", "spare_itself"),
    *("make_block_device", "make_character_device", "make_setuid_file", "write_first_process"),
}
SERVED = (*_SERVED_ONLY, *(attack for attack in ATTACKS if attack.name not in _NOT_SERVED))
