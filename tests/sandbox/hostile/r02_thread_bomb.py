import threading

from attempts import run, tell

stop = threading.Event()
threads = []
error = ""
try:
    while len(threads) < 2000:
        thread = threading.Thread(target=stop.wait, daemon=True)
        thread.start()
        threads.append(thread)
except RuntimeError as refused:
    error = str(refused)
tell(n=len(threads), error=error)
stop.set()
