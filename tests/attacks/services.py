"""Services of the host that a step must not reach: sockets of every kind, and memory that any process may attach."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import socket
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.attacks.host import Scene

__all__ = ["LIBC", "SECRETS", "open_services", "remove_queue", "remove_segment"]

LIBC = ctypes.CDLL(None, use_errno=True)
IPC_CREAT = 0o1000
SECRETS = {
    name: f"canary-{name}-7f3a"
    for name in ("key", "git", "blobs", "holder", "inbox", "other", "answers", "memory", "held", "line", "attribute")
}
SECRETS |= {"segment": "canary-segment-7f3a"}


@contextlib.contextmanager
def open_services(scene: Scene) -> Iterator[None]:
    """Listens wherever a service of the host might, and makes a shared memory segment with a secret."""
    place = scene.folder / "services"
    listeners = []
    addresses: dict[str, tuple[int, int, Any]] = {
        "tcp4": (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
        "tcp6": (socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0)),
        "udp4": (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
        "abstract": (socket.AF_UNIX, socket.SOCK_STREAM, f"\0{scene.folder.name}"),
        "pathname": (socket.AF_UNIX, socket.SOCK_STREAM, str(place / "stream")),
        "datagram": (socket.AF_UNIX, socket.SOCK_DGRAM, str(place / "datagram")),
    }
    for name, (family, kind, address) in addresses.items():
        listener = socket.socket(family, kind)
        listeners.append(listener)
        try:
            listener.bind(address)
        except OSError:  # a machine without IPv6
            scene.facts[name] = 1
            continue
        if kind == socket.SOCK_STREAM:
            listener.listen()
        scene.facts[name] = listener.getsockname()[1] if family != socket.AF_UNIX else address.lstrip("\0")
    for path in place.iterdir():
        path.chmod(0o777)
    segment = LIBC.shmget(scene.facts["segment"], 4096, IPC_CREAT | 0o666)
    LIBC.shmat.restype = ctypes.c_void_p
    ctypes.memmove(LIBC.shmat(segment, None, 0), SECRETS["segment"].encode() + b"\0", len(SECRETS["segment"]) + 1)
    stop_reading, stop = os.pipe()
    thread = threading.Thread(target=_hear, args=(scene, listeners, stop_reading), daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.close(stop)
        thread.join(5)
        for listener in listeners:
            listener.close()
        os.close(stop_reading)
        for key in (scene.facts["segment"], scene.facts["left_segment"]):
            remove_segment(key)
            remove_queue(key)


def remove_segment(key: int) -> bool:
    """Whether there was a shared memory segment of this key."""
    segment = LIBC.shmget(key, 0, 0)
    return bool(segment >= 0 and LIBC.shmctl(segment, 0, None) == 0)


def remove_queue(key: int) -> bool:
    """Whether there was a message queue of this key."""
    queue = LIBC.msgget(key, 0)
    return bool(queue >= 0 and LIBC.msgctl(queue, 0, None) == 0)


def _hear(scene: Scene, listeners: list[socket.socket], stop: int) -> None:
    waiting: list[Any] = [stop, *listeners]
    while True:
        for ready in select.select(waiting, [], [])[0]:
            if ready == stop:
                for one in waiting[1:]:
                    if one not in listeners:
                        one.close()
                return
            if ready in listeners and ready.type == socket.SOCK_STREAM:
                waiting.append(ready.accept()[0])
                continue
            data = ready.recv(4096)
            scene.heard.update(data.decode().split())
            if not data:
                waiting.remove(ready)
                ready.close()
