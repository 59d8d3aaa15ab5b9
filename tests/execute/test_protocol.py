from __future__ import annotations

import socket
import struct
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzer.execute.protocol import MAX_MESSAGE_BYTES, ChannelClosed, receive, send
from fuzzer.execute.stage import StageCell

messages = st.dictionaries(
    st.text(max_size=8), st.recursive(st.none() | st.integers() | st.text(), st.lists), max_size=5
)


@given(st.lists(messages, max_size=4))
@settings(max_examples=40)
def test_messages_arrive_as_they_were_sent(sent: list[dict[str, Any]]) -> None:
    left, right = socket.socketpair()
    with left, right:
        for message in sent:
            send(left, message)
        assert [receive(right) for _ in sent] == sent


def test_a_message_larger_than_any_buffer() -> None:
    left, right = socket.socketpair()
    with left, right:
        message = {"data": "x" * (8 << 20)}
        thread = threading.Thread(target=send, args=(left, message))
        thread.start()
        assert receive(right) == message
        thread.join()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x05",
        struct.pack("<I", 5) + b"{}",
        struct.pack("<I", MAX_MESSAGE_BYTES + 1),
        struct.pack("<I", 2) + b"[]",
    ],
)
def test_a_broken_frame_is_the_end(data: bytes) -> None:
    left, right = socket.socketpair()
    with right:
        left.sendall(data)
        left.close()
        with pytest.raises(ChannelClosed):
            receive(right)


def test_nobody_reads_any_more() -> None:
    left, right = socket.socketpair()
    right.close()
    with left, pytest.raises(ChannelClosed):
        for _ in range(3):
            send(left, {"a": 1})


def test_the_stage_cell() -> None:
    cell = StageCell()
    assert cell.get() == ("", "")
    cell.set("invoke", "tf-xnnpack")
    assert cell.get() == ("invoke", "tf-xnnpack")
    cell.set("judge")
    assert cell.get() == ("judge", "")
    cell.set("x" * 10_000, "é" * 10_000)
    assert cell.get()[0].startswith("xxx")
    cell.close()
