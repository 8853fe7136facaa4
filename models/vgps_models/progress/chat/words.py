"""What an endpoint says in its own words, made short and safe to print."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

LONGEST = 300  # characters of an endpoint's words that a message repeats
SCANNED = 100_000  # characters of a page that are searched for words
SHORTEST_KEY = 4  # shorter strings are not hidden: they are placeholders, and would blank out ordinary words
HIDDEN = "***"
# Where servers put the reason, most telling first; the first that holds words is taken.
REASONS = ("message", "detail", "msg", "error_description", "error", "errors", "reason", "title", "code")


def shorten(text: str) -> str:
    """One printable line of at most `LONGEST` characters; escape sequences of a terminal do not survive."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[:SCANNED]).split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 4]} ..."


def hide(text: str, key: str) -> str:
    """`text` without the key, as it is or quoted for a URL, and without any bearer token."""
    if len(key) >= SHORTEST_KEY:
        for form in {key, quote(key, safe=""), json.dumps(key)[1:-1]}:
            text = re.sub(re.escape(form), HIDDEN, text, flags=re.IGNORECASE)
    return re.sub(r"(?i)\bbearer\s+(?!\*)[^\s\"',;}]+", f"Bearer {HIDDEN}", text)


def shown_url(url: str) -> str:
    """A URL without the user, password and query that may be in it, and without the last slash."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")


def words_of(body: bytes, content_type: str = "") -> str:
    """What the body of an answer says: the reason in a JSON object, the text of an HTML page, or plain text."""
    text = decode(body).strip()
    if not text:
        return "an empty body"
    if is_html(text, content_type):
        return f"an HTML page: {html_text(text) or 'without text'}"
    try:
        return reason(json.loads(text)) or text
    except (ValueError, RecursionError):
        return text


def reason(data: Any) -> str:
    """The words in an error object of any of the usual shapes; empty when there are none."""
    if isinstance(data, str):
        return data.strip()
    if isinstance(data, (int, float)) and not isinstance(data, bool):
        return str(data)
    if isinstance(data, Mapping):
        found = next((said for name in REASONS if (said := reason(data.get(name)))), "")
        kind = data.get("type") or data.get("code") or data.get("status")
        found = f"{found} ({kind})" if found and isinstance(kind, str) and kind not in found else found
        raw = data["metadata"].get("raw") if isinstance(data.get("metadata"), Mapping) else None
        return f"{found}: {raw}" if found and isinstance(raw, str) else found  # a router repeats its provider's words
    if isinstance(data, Sequence):
        return "; ".join(said for item in data[:5] if (said := reason(item)))
    return ""


def decode(body: bytes) -> str:
    """UTF-8, as JSON must be; what is not UTF-8 is replaced, a byte-order mark is dropped."""
    return body.decode("utf-8-sig", errors="replace")


def is_html(text: str, content_type: str) -> bool:
    return "html" in content_type.lower() or bool(re.match(r"(?i)\s*<(!doctype|html|head|body|h1|title)\b", text))


def html_text(page: str) -> str:
    """The visible words of a page, its title first."""
    page = re.sub(r"(?is)<(script|style|svg|noscript)\b.*?(</\1\s*>|$)|<!--.*?(-->|$)", " ", page[:SCANNED])
    return " ".join(html.unescape(re.sub(r"<[^<>]*>", " ", page)).split())
