"""How fast one may ask."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime


class Bucket:
    """Amounts a minute: full at first, refilled all the time. What asks first is served first."""

    def __init__(self, per_minute: float) -> None:
        """per_minute: 0 for no limit."""
        self._rate, self._level, self._at = per_minute / 60.0, per_minute, time.monotonic()
        self._capacity, self._turn = per_minute, asyncio.Lock()

    async def take(self, amount: float) -> None:
        """Wait until this much may be used. More than a minute's worth counts as a minute's worth."""
        if not self._rate:
            return
        amount = min(amount, self._capacity)
        async with self._turn:
            while True:
                now = time.monotonic()
                self._level = min(self._capacity, self._level + (now - self._at) * self._rate)
                self._at = now
                if self._level >= amount:
                    self._level -= amount
                    return
                await asyncio.sleep((amount - self._level) / self._rate)


def backoff_s(attempt: int, retry_after_s: float | None, base_s: float, most_s: float = 60.0) -> float:
    """Seconds before attempt number `attempt` + 1: full jitter over base * 2 ** attempt, after what the server asks."""
    wait = random.uniform(0.0, min(most_s, base_s * 2.0**attempt))
    return wait if retry_after_s is None else retry_after_s + wait


def retry_after_s(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds that an endpoint asks to wait: `retry-after-ms`, or `Retry-After` in seconds or as a date.

    At least 0; None where it asks for nothing that can be read. headers: with any spelling of their names that the
    mapping itself accepts. now: seconds since 1970, by default this moment.
    """
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            wait = float(headers.get(name) or "nan") * unit
        except ValueError:
            continue
        if math.isfinite(wait):
            return max(0.0, wait)
    try:
        date = parsedate_to_datetime(headers.get("retry-after") or "")
        date = date if date.tzinfo else date.replace(tzinfo=timezone.utc)
        wait = (date - datetime.fromtimestamp(time.time() if now is None else now, timezone.utc)).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return max(0.0, wait)
