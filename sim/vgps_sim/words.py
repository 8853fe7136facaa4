"""A Gymnasium space of sentences that stay intact in asynchronous vectors of environments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from gymnasium.spaces import Text, unflatten
from gymnasium.vector.utils import read_from_shared_memory


class Words(Text):
    """`AsyncVectorEnv` reads a `Text` out of the memory that it shares with its workers once, before they have written
    anything, and returns that for ever; of `Words` it returns what is there."""


class SharedWords(Sequence[str]):
    """The sentences of all environments as they now are; a copy is a tuple of strings."""

    def __init__(self, space: Text, memory: Any, count: int) -> None:
        codes = np.frombuffer(memory.get_obj(), dtype=np.int32)
        self._letters, self._codes = space.character_list, codes.reshape(count, space.max_length)

    def __len__(self) -> int:
        return len(self._codes)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...

    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        if isinstance(index, slice):
            return tuple(self)[index]
        return "".join(self._letters[code] for code in self._codes[index] if code < len(self._letters))

    def __deepcopy__(self, memo: dict[int, Any]) -> tuple[str, ...]:
        return tuple(self)

    def __repr__(self) -> str:
        return repr(tuple(self))


@unflatten.register(Words)
def _unflatten(space: Words, x: Any) -> str:
    """Also of the floating-point numbers that a sentence becomes when it is flattened along with other things."""
    codes = (int(code) for code in x)
    return "".join(space.character_list[code] for code in codes if code < len(space.character_list))


@read_from_shared_memory.register(Words)
def _read(space: Words, shared_memory: Any, n: int = 1) -> Any:  # Gymnasium knows of tuples alone
    return SharedWords(space, shared_memory, n)
