"""A local endpoint that speaks OpenAI's chat completions and answers GVL's question from known truth.

It sees what a model would see: the words and the JPEGs. Truth is by JPEG, so a frame that was sent under the
wrong number is answered wrongly. Faults come from a script: one entry a request, "" once it has run out. Of the
endpoint: 429, "429 soon", 500, 401, slow, drop, "not a completion". Of the model: see `_complete`. An entry can also be
a function: it gets the good completion and returns what goes over the wire instead (`Wire`).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from vgps_models.progress import Clip
from vgps_models.progress.chat import Picture

FENCED, DISORDER = "fenced", "disorder"  # odd, but no fault


@dataclass(frozen=True)
class Wire:
    """An HTTP answer. missing: bytes that the length promises and that never come; drip_s: pause between two bytes."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    missing: int = 0
    drip_s: float = 0.0


Fault = str | Callable[[dict[str, Any]], Wire]


def clip(seed: int = 0, frames: int = 8, views: int = 1) -> Clip:
    """Noise, so that no two pictures are alike."""
    random = np.random.default_rng(seed)
    images = {f"view{v}": random.integers(0, 255, (frames, 24, 32, 3), dtype=np.uint8) for v in range(views)}
    return Clip(images, "put the spoon on the towel")


def truth_of(clip: Clip, values: Iterable[float]) -> dict[str, float]:
    """Value of every JPEG of a clip."""
    return {
        _digest(Picture.of(images[t]).jpeg): float(value)
        for images in clip.views.values()
        for t, value in enumerate(values)
    }


class Server:
    """Use as a context manager. truth: JPEG digest -> value in [0, 1]."""

    def __init__(self, truth: Mapping[str, float], *, script: Sequence[Fault] = (), noise: float = 0.0) -> None:
        self.truth, self.script, self.noise = truth, list(script), noise
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self._lock = threading.Lock()
        self.under_way = self.most_under_way = 0
        self.delay_s = 0.0

    def __enter__(self) -> Server:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                server._post(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Listener(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64  # with the usual 5, a burst of requests waits a second for its second try

        self._http = Listener(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()  # s to notice its end
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    @property
    def requests(self) -> int:
        return len(self.bodies)

    def _post(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        with self._lock:
            number = len(self.bodies)
            self.bodies.append(body)
            self.headers.append({name.lower(): value for name, value in handler.headers.items()})
            fault = self.script[number] if number < len(self.script) else ""
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        time.sleep(self.delay_s)
        with self._lock:
            self.under_way -= 1
        if callable(fault):
            _send(handler, fault(self._complete(body, "", number)))
            return
        if fault == "drop":
            handler.close_connection = True
            return
        if fault == "slow":
            time.sleep(2.0)
        code = int(fault[:3]) if fault[:3] in ("429", "500", "401") else 200
        if code != 200:
            reply = {"error": {"message": f"fault {fault}; your key was {handler.headers['Authorization']}"}}
        elif fault == "not a completion":
            reply = {"hello": "world"}
        else:
            reply = self._complete(body, fault, number)
        headers = {"Retry-After": "0.01"} if fault == "429 soon" else {}
        _send(handler, Wire(code, json.dumps(reply).encode(), headers=headers))

    def _complete(self, body: dict[str, Any], fault: str, number: int) -> dict[str, Any]:
        entries = self._entries(body, np.random.default_rng(number))
        finish, refusal = "stop", None
        match fault:
            case "missing":
                entries = entries[:-1]
            case "twice":
                entries[-1] = dict(entries[0])
            case "stranger":
                entries[0]["frame"] = 99
            case "out of range":
                entries[0]["completion"] = 140
            case "word":
                entries[0]["completion"] = "half"
            case "disorder":
                entries = entries[::-1]
        text = json.dumps({"frames": entries})
        match fault:
            case "garbage":
                text = "The frames show an arm. 10, 20, 30 %."
            case "refusal":
                text, refusal = "", "I cannot help with that."
            case "truncated":
                text, finish = text[: len(text) // 2], "length"
            case "filtered":
                text, finish = "", "content_filter"
            case "fenced":
                text = f"```json\n{text}\n```"
        message = {"role": "assistant", "content": text, "refusal": refusal}
        return {
            "id": "x", "object": "chat.completion", "created": 0, "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
        }  # fmt: skip

    def _entries(self, body: dict[str, Any], random: np.random.Generator) -> list[dict[str, Any]]:
        """Of the question's numbered frames, as far as it has any."""
        question = next(m["content"] for m in body["messages"] if m["role"] == "user")
        entries, number = [], None
        for part in question:
            if part["type"] == "text":
                found = re.fullmatch(r"Frame (\d+):", part["text"])
                number = int(found[1]) if found else number if part["text"].startswith("(") else None
            elif number is not None and (not entries or entries[-1]["frame"] != number):
                jpeg = base64.b64decode(part["image_url"]["url"].split(",", 1)[1])
                value = 100 * self.truth[_digest(jpeg)] + self.noise * random.standard_normal()
                entries.append({"frame": number, "description": "x", "completion": round(min(max(value, 0), 100))})
        return entries


def _send(handler: BaseHTTPRequestHandler, wire: Wire) -> None:
    try:
        handler.send_response(wire.status)
        for name, value in wire.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Type", wire.content_type)
        handler.send_header("Content-Length", str(len(wire.body) + wire.missing))
        handler.end_headers()
        for i in range(0, len(wire.body), 1 if wire.drip_s else max(1, len(wire.body))):
            handler.wfile.write(wire.body[i : i + 1] if wire.drip_s else wire.body)
            handler.wfile.flush()
            time.sleep(wire.drip_s)
        handler.close_connection = handler.close_connection or wire.missing > 0
    except OSError:
        pass  # the client has gone


def _digest(jpeg: bytes) -> str:
    return hashlib.sha256(jpeg).hexdigest()
