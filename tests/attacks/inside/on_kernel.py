"""Attacks by the kernel: namespaces, mounts, devices, settings, and system calls that once led out of sandboxes."""

import ctypes
import fcntl
import mmap
import os
import struct
import subprocess
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
X32 = 0x40000000
NAMESPACES = {
    "mount": 0x20000,
    "cgroup": 0x2000000,
    "uts": 0x4000000,
    "ipc": 0x8000000,
    "user": 0x10000000,
    "pid": 0x20000000,
    "net": 0x40000000,
}


def must(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _call(*arguments):
    return must(LIBC.syscall(*map(ctypes.c_long, arguments)))


def _open_for_writing(path):
    os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY))
    return f"{path} was opened for writing"


def _open_first(paths):
    problems = []
    for path in paths:
        try:
            return _open_for_writing(path)
        except OSError as error:
            problems.append(str(error))
    raise OSError("; ".join(problems))


def enter_user_namespace(scene):
    return _call(272, NAMESPACES["user"])


def enter_mount_namespace(scene):
    return _call(272, NAMESPACES["mount"])


def enter_other_namespaces(scene):
    """Enter each of the other namespaces in a process of its own. One that succeeds is enough."""
    won = []
    for name in ("cgroup", "uts", "ipc", "pid", "net"):
        pid = os.fork()
        if pid == 0:
            os._exit(0 if LIBC.unshare(NAMESPACES[name]) == 0 else 1)
        if os.waitpid(pid, 0)[1] == 0:
            won.append(name)
    if not won:
        raise OSError("none could be entered")
    return won


def clone_into_namespace(scene):
    pid = _call(56, NAMESPACES["user"] | 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return "a process began in one"


def clone3_into_namespace(scene):
    arguments = struct.pack("=11Q", NAMESPACES["user"], 0, 0, 0, 17, 0, 0, 0, 0, 0, 0)
    buffer = ctypes.create_string_buffer(arguments, len(arguments))
    pid = _call(435, ctypes.addressof(buffer), len(arguments))
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return "a process began in one"


def join_namespace(scene):
    descriptor = os.open(f"/proc/{scene['decoy']}/ns/mnt", os.O_RDONLY)
    must(LIBC.setns(descriptor, 0))
    return "it sees the host's files"


def mount_over(scene):
    """Mount at a place of the host, which sees it unless this is a mount namespace of its own."""
    must(LIBC.mount(b"none", scene["mountpoint"].encode(), b"tmpfs", 0, None))


def mount_at_home(scene):
    place = Path("mounted").absolute()
    place.mkdir()
    must(LIBC.mount(b"none", bytes(place), b"tmpfs", 0, None))
    must(LIBC.umount2(bytes(place), 2))
    return "it mounted a filesystem"


def mount_anew(scene):
    kind = ctypes.create_string_buffer(b"tmpfs")
    return _call(430, ctypes.addressof(kind), 0)


def change_root(scene):
    os.chroot(".")
    return "it changed its root"


def make_block_device(scene):
    os.mknod("disk", 0o60600, os.makedev(*scene["disk"]))


def make_character_device(scene):
    os.mknod("memory", 0o20600, os.makedev(1, 1))


def open_disk(scene):
    return len(os.read(os.open(scene["disk_path"], os.O_RDONLY), 512))


def open_kernel_log(scene):
    return os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)


def open_memory(scene):
    for path in ("/dev/mem", "/proc/kcore"):
        try:
            return os.open(path, os.O_RDONLY)
        except OSError as error:
            problem = error
    raise problem


def open_virtual_machine(scene):
    return os.open("/dev/kvm", os.O_RDWR)


def open_fuse(scene):
    return os.open("/dev/fuse", os.O_RDWR)


def open_loop_device(scene):
    return os.open("/dev/loop-control", os.O_RDWR)


def type_into_terminal(scene):
    """TIOCSTI on a terminal of its own."""
    _, slave = os.openpty()
    os.setsid()
    fcntl.ioctl(slave, 0x540E, 0)
    fcntl.ioctl(slave, 0x5412, b"x")
    return "a letter was typed"


def fill_device_folder(scene):
    """Memory that belongs to no process, unless /dev is read-only."""
    with Path("/dev", scene["filler"]).open("w") as file:
        file.write("x")


def change_core_pattern(scene):
    return _open_for_writing("/proc/sys/kernel/core_pattern")


def change_settings(scene):
    return _open_first(["/proc/sys/vm/drop_caches", "/proc/sys/kernel/modprobe", "/proc/sys/fs/file-max"])


def press_system_request(scene):
    return _open_for_writing("/proc/sysrq-trigger")


def change_kernel_objects(scene):
    found = ["/sys/kernel/mm/ksm/run", "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/kernel/uevent_helper"]
    return _open_first([*found, "/sys/devices/system/cpu/cpu1/online"])


def write_release_agent(scene):
    """The way out of containers that may mount or write cgroups."""
    paths = [str(p) for p in Path("/sys/fs/cgroup").glob("*/release_agent")]
    return _open_first([*paths, "/sys/fs/cgroup/cgroup.procs"])


def spare_itself(scene):
    Path("/proc/self/oom_score_adj").write_text("-900")
    return "the kernel will take others first"


def raise_limits(scene):
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (2**50, 2**50))
    return "files may be larger than the limit"


def call_io_uring(scene):
    buffer = ctypes.create_string_buffer(120)
    return _call(425, 4, ctypes.addressof(buffer))


def call_bpf(scene):
    buffer = ctypes.create_string_buffer(struct.pack("=IIII", 2, 4, 8, 1), 72)
    return _call(321, 0, ctypes.addressof(buffer), 72)


def call_perf(scene):
    attributes = ctypes.create_string_buffer(struct.pack("=IIQ", 1, 112, 0), 112)
    return _call(298, ctypes.addressof(attributes), 0, -1, -1, 0)


def call_userfaultfd(scene):
    return _call(323, 1)


def call_keyctl(scene):
    return _call(250, 0, -3, 1)


def add_a_key(scene):
    kind, name = ctypes.create_string_buffer(b"user"), ctypes.create_string_buffer(b"x")
    return _call(248, ctypes.addressof(kind), ctypes.addressof(name), ctypes.addressof(name), 1, -3)


def open_by_handle(scene):
    """Ask for a file handle, by which root once left containers. The handle itself already fails."""
    handle = ctypes.create_string_buffer(struct.pack("=II", 128, 0), 136)
    mount = ctypes.c_int()
    path = ctypes.create_string_buffer(b"/")
    return _call(303, -100, ctypes.addressof(path), ctypes.addressof(handle), ctypes.addressof(mount), 0)


def _machine_code(code):
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    place = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return ctypes.CFUNCTYPE(ctypes.c_int)(place)()


def enter_as_i386(scene):
    """getpid by the 32-bit entry, whose numbers no 64-bit filter knows."""
    got = _machine_code(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
    if got != os.getpid():
        raise OSError(f"it answered {got}")
    return "the filter was passed"


def enter_as_x32(scene):
    return _call(X32 + 39)


def run_setuid_program(scene):
    told = subprocess.run([scene["setuid"], "-u"], capture_output=True, text=True, timeout=3)
    if told.stdout.strip() != "0":
        raise OSError(f"user {told.stdout.strip()} {told.stderr.strip()}")
    return "it runs as root"


def gain_capabilities(scene):
    """Any that it holds would be one too many."""
    lines = Path("/proc/self/status").read_text().splitlines()
    held = {line for line in lines if line.startswith(("CapPrm", "CapEff")) and int(line.split()[1], 16)}
    if not held:
        raise OSError("it has none")
    return sorted(held)
