import socket

from attempts import attempt, run, tell

KINDS = {
    "tcp": (socket.AF_INET, socket.SOCK_STREAM, 0),
    "tcp6": (socket.AF_INET6, socket.SOCK_STREAM, 0),
    "udp": (socket.AF_INET, socket.SOCK_DGRAM, 0),
    "raw": (socket.AF_INET, socket.SOCK_RAW, 1),
    "icmp": (socket.AF_INET, socket.SOCK_DGRAM, 1),
    "mptcp": (socket.AF_INET, socket.SOCK_STREAM, 262),
    "netlink": (16, socket.SOCK_RAW, 0),
    "packet": (17, socket.SOCK_RAW, 0),
    "alg": (38, socket.SOCK_SEQPACKET, 0),
    "xdp": (44, socket.SOCK_RAW, 0),
    "vsock": (40, socket.SOCK_STREAM, 0),
    "bluetooth": (31, socket.SOCK_RAW, 0),
    "can": (29, socket.SOCK_RAW, 1),
    "tipc": (30, socket.SOCK_SEQPACKET, 0),
    "rds": (21, socket.SOCK_SEQPACKET, 0),
    "key": (15, socket.SOCK_RAW, 2),
}
for name, kind in KINDS.items():
    attempt(name, lambda kind=kind: socket.socket(*kind).close())
attempt("dns", lambda: socket.getaddrinfo("example.com", 443))
attempt("connect", lambda: socket.create_connection(("1.1.1.1", 53), timeout=1))
tell()
