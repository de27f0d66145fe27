import os
import socket

from attempts import attempt, run, tell


def connect(address):
    with socket.socket(socket.AF_UNIX) as door:
        door.connect(address)


attempt("abstract", lambda: connect("\0" + os.environ["ABSTRACT"]))
attempt("host_path", lambda: connect(os.environ["HOST_PATH"]))
attempt("docker", lambda: connect("/var/run/docker.sock"))
attempt("doors", lambda: os.listdir("/doors")[0])
tell()
