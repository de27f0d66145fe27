import os
import signal

from attempts import run

os.kill(os.getpid(), signal.SIGSTOP)
