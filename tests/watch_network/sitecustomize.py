"""Note each computer that a Python process turns to; tests/lab.py puts this on its path."""

import os
import sys


def note(event, arguments):
    """Append the host of a look-up or a connection to the file that `WATCH_NETWORK` names."""
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    line = host if isinstance(host, str) else (host or b"").decode()
    file = os.open(os.environ["WATCH_NETWORK"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{line}\n".encode())
    os.close(file)


if "WATCH_NETWORK" in os.environ:
    sys.addaudithook(note)
