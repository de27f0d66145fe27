import os

from attempts import attempt, run, syscall, tell

ADD, REQUEST, KEYCTL = (248, 249, 250) if os.uname().machine == "x86_64" else (217, 218, 219)
attempt("add_key", lambda: syscall(ADD, b"user", b"hone", b"secret", 6, -4))
attempt("request_key", lambda: syscall(REQUEST, b"user", b"hone", None, -4))
attempt("keyctl", lambda: syscall(KEYCTL, 0, -4, 1))
tell()
