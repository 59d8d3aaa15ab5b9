"""An application that takes one key after the other, as a person means them.

Textual hands a key to the widget that has the focus at that moment and goes on with the next one. Over a slow
connection keys come in bursts: of `/conv` only the slash opened the search, and the letters were commands to the
list, which marks findings. Here a key waits until all that the one before has led to is done.
"""

from __future__ import annotations

from collections import deque

from textual import events
from textual.app import App
from textual.dom import DOMNode
from textual.message_pump import MessagePump

ROUNDS = 3
"""A key bubbles up to the application, which runs an action, whose message bubbles up, whose handler may close a
question: three times from the focus to the top, each behind the one before in the same queues."""
STUCK_S = 0.5
"""A widget that is taken away never answers; after this long the next key goes on without."""


class KeysInTurn(App[None]):
    """Holds keys back while one is being handled."""

    _held: deque[events.Key]
    _turn = 0
    _busy = False

    async def on_event(self, event: events.Event) -> None:
        """Takes keys that come from the terminal in turn; everything else goes its way."""
        if not isinstance(event, events.Key) or event.is_forwarded:
            await super().on_event(event)
            return
        if not hasattr(self, "_held"):
            self._held = deque()
        self._held.append(event)
        if not self._busy:
            await self._next_key(self._turn)

    async def _next_key(self, turn: int) -> None:
        if turn != self._turn:
            return  # the timer was faster
        self._turn += 1
        self._busy = bool(self._held)
        if not self._busy:
            return
        await super().on_event(self._held.popleft())
        self._climb(self._turn, ROUNDS, self.focused or self.screen)
        self.set_timer(STUCK_S, lambda turn=self._turn: self.call_later(self._next_key, turn))

    def _climb(self, turn: int, rounds: int, node: MessagePump | None) -> None:
        """Follows the messages from the focus to the top: what is queued here comes after them."""
        if node is self or node is None:
            if rounds > 1:
                self.call_later(lambda: self._climb(turn, rounds - 1, self.focused or self.screen))
            else:
                self.call_later(self._next_key, turn)
            return
        above = node.parent if isinstance(node, DOMNode) else None
        if not node.call_later(self._climb, turn, rounds, above):
            self.call_later(self._next_key, turn)
