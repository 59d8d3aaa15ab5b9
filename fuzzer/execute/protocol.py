"""How the processes talk: length-prefixed JSON on a stream. Data only; nothing is pickled."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

_HEADER = struct.Struct("<I")
MAX_MESSAGE_BYTES = 64 << 20


class ChannelClosed(Exception):
    """The other side is gone."""


class BrokenFrame(ChannelClosed):
    """The other side is there but writes rubbish: its memory cannot be trusted."""


def send(channel: socket.socket, message: dict[str, Any]) -> None:
    """Sends one message. Raises `ChannelClosed` when nobody reads any more."""
    data = json.dumps(message, separators=(",", ":")).encode()
    try:
        channel.sendall(_HEADER.pack(len(data)) + data)
    except (BrokenPipeError, ConnectionResetError) as gone:
        raise ChannelClosed from gone


def receive(channel: socket.socket) -> dict[str, Any]:
    """Waits for one message. Raises `ChannelClosed` at the end of the stream or on a broken frame."""
    (size,) = _HEADER.unpack(_exactly(channel, _HEADER.size))
    if size > MAX_MESSAGE_BYTES:
        raise BrokenFrame(f"a frame of {size} bytes")
    try:
        message = json.loads(_exactly(channel, size))
    except (ValueError, RecursionError) as broken:
        raise BrokenFrame("a frame that is no JSON") from broken
    if not isinstance(message, dict):
        raise BrokenFrame("a frame that is no object")
    return message


def _exactly(channel: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        try:
            part = channel.recv(count - len(parts))
        except ConnectionResetError as gone:
            raise ChannelClosed from gone
        if not part:
            raise ChannelClosed
        parts += part
    return bytes(parts)
