"""Who of the graph owes an answer, and for how long already. Knows no ROS."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


class Silence:
    """A debt begins when something was asked of a node and ends with any answer of it.

    chain: node -> what to say when it is silent, in the order in which each waits for the one before. When several are
    late, the first of them is the reason.
    patience: time by the steady clock after which a debt is silence [s].
    """

    def __init__(
        self, chain: Mapping[str, str], *, patience: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._chain, self.patience, self._clock = chain, patience, clock
        self._owed: dict[str, float] = {}  # node -> since when [s]

    def ask(self, node: str) -> None:
        """Something is wanted of `node`; if something already was, that counts."""
        self._owed.setdefault(node, self._clock())

    def heard(self, node: str) -> None:
        self._owed.pop(node, None)

    def clear(self) -> None:
        """Nothing is wanted of anybody."""
        self._owed.clear()

    def late(self) -> str:
        """Who is silent, and for how long, in words; empty when nobody is."""
        now = self._clock()
        for node, complaint in self._chain.items():
            since = self._owed.get(node)
            if since is not None and (waited := now - since) > self.patience:
                return f"{complaint} for {waited:.0f} s"
        return ""
