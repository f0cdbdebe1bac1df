"""Attacks that connect to services of the host, or to the world. An attack returns the text that it got, or raises."""

import os
import socket
from pathlib import Path


def connect_ipv4(scene):
    socket.create_connection(("127.0.0.1", scene["tcp4"]), 2).sendall(b"connect_ipv4\n")


def connect_ipv6(scene):
    socket.create_connection(("::1", scene["tcp6"]), 2).sendall(b"connect_ipv6\n")


def send_udp(scene):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"send_udp\n", ("127.0.0.1", scene["udp4"]))


def connect_abstract(scene):
    client = socket.socket(socket.AF_UNIX)
    client.connect("\0" + scene["abstract"])
    client.sendall(b"connect_abstract\n")


def connect_pathname(scene):
    client = socket.socket(socket.AF_UNIX)
    os.chdir(Path(scene["pathname"]).parent)
    client.connect(Path(scene["pathname"]).name)
    client.sendall(b"connect_pathname\n")


def send_datagram(scene):
    os.chdir(Path(scene["datagram"]).parent)
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"send_datagram\n", Path(scene["datagram"]).name)


def resolve_name(scene):
    """A datagram to the first name server, or to an address of documentation: a route outward is enough."""
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect(("192.0.2.1", 53))
    return client.getsockname()


def open_vsock(scene):
    client = socket.socket(40, socket.SOCK_STREAM)
    client.settimeout(1)
    return client.family


def open_raw_socket(scene):
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).fileno()


def open_packet_socket(scene):
    return socket.socket(17, socket.SOCK_RAW).fileno()


def open_crypto_socket(scene):
    return socket.socket(38, socket.SOCK_SEQPACKET).fileno()
