"""The zygote: has imported the target and never run it; executors are forked from it.

One process serves all drivers and the examiner. It must stay single-threaded, because a fork copies only the
forking thread, and it must never run TensorFlow, because TensorFlow's threads would be missing in the fork.
It dies with its supervisor, and its executors die with it.

When it is ready it says so on standard output, with the libraries that native coverage can watch, where it was asked:
`ready {"libraries": [[scope, file], ...]}`.

Protocol, on a SOCK_SEQPACKET connection a client: `{"spawn": {}}` with three file descriptors (channel, log, stage
cell), or with a fourth (where native blocks are reported), is answered by `{"pid": n}`, and later, unasked, by
`{"exit": n, "status": waitstatus}`.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import selectors
import signal
import socket
import sys
from importlib import import_module
from typing import Any

from fuzzer import native
from fuzzer.coverage import python_lines, scopes
from fuzzer.execute import executor

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_MAX_PACKET = 4096


class _Zygote:
    def __init__(self, listener: socket.socket, target: Any, libraries: list[tuple[str, str]]) -> None:
        self.libraries = libraries
        self.listener = listener
        self.target = target
        self.selector = selectors.DefaultSelector()
        self.owner: dict[int, socket.socket] = {}

    def serve(self) -> None:
        """Serves until the supervisor closes its end of standard input."""
        wake_read, wake_write = socket.socketpair()
        wake_read.setblocking(False)
        wake_write.setblocking(False)
        signal.set_wakeup_fd(wake_write.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.selector.register(wake_read, selectors.EVENT_READ, "child")
        self.selector.register(self.listener, selectors.EVENT_READ, "accept")
        self.selector.register(sys.stdin.fileno(), selectors.EVENT_READ, "parent")
        print("ready", json.dumps({"libraries": self.libraries}), flush=True)
        while True:
            for key, _ in self.selector.select():
                if key.data == "parent":
                    if not os.read(sys.stdin.fileno(), 1):
                        return
                elif key.data == "accept":
                    client, _ = self.listener.accept()
                    self.selector.register(client, selectors.EVENT_READ, "client")
                elif key.data == "child":
                    wake_read.recv(4096)
                    self._reap()
                elif isinstance(key.fileobj, socket.socket):
                    self._request(key.fileobj)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            client = self.owner.pop(pid, None)
            if client is not None:
                _tell(client, {"exit": pid, "status": status})

    def _request(self, client: socket.socket) -> None:
        try:
            data, handles, _, _ = socket.recv_fds(client, _MAX_PACKET, 4)
        except OSError:
            data, handles = b"", []
        if not data:
            self._forget(client)
            return
        if "spawn" in json.loads(data) and len(handles) in (3, 4):
            pid = os.fork()
            if pid == 0:
                self._become_executor(client, handles)
            self.owner[pid] = client
            _tell(client, {"pid": pid})
        for handle in handles:
            os.close(handle)

    def _forget(self, client: socket.socket) -> None:
        """A client is gone: its executors have nobody to work for."""
        self.selector.unregister(client)
        client.close()
        for pid, owner in list(self.owner.items()):
            if owner is client:
                del self.owner[pid]
                os.kill(pid, signal.SIGKILL)

    def _become_executor(self, client: socket.socket, handles: list[int]) -> None:
        """Never returns. Everything of the zygote's is closed first, or clients would never see an end of stream."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for key in list(self.selector.get_map().values()):
                if isinstance(key.fileobj, socket.socket):
                    key.fileobj.close()
            self.selector.close()
            die_with_parent()
            executor.main(self.target, *handles)
            status = 0
        finally:
            os._exit(status)


def die_with_parent() -> None:
    """Has the kernel kill this process when its parent dies (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _tell(client: socket.socket, message: dict[str, Any]) -> None:
    try:
        client.send(json.dumps(message).encode())
    except OSError:
        return  # the client is gone; `_forget` follows when its end of stream is read


def main() -> None:
    """Entry point: `python -m fuzzer.execute.zygote SOCKET_FD TARGET_MODULE True|False`."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's business
    listener = socket.socket(fileno=int(sys.argv[1]))
    target = import_module(sys.argv[2])
    target.load()
    python_lines.find()
    native.problem()  # loads the library of the signal handler, once for all executors; the supervisor tells of failure
    libraries = scopes.loaded() if sys.argv[3] == "True" else []
    # What is loaded now is never garbage: keep the collector off it in every fork (a full collection of
    # TensorFlow's modules costs 150 ms and copies their pages).
    gc.collect()
    gc.freeze()
    _Zygote(listener, target, libraries).serve()


if __name__ == "__main__":
    main()
