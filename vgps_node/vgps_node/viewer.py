"""Pictures of a running graph for people: one image of all cameras and the state, a film, a page. Knows no ROS."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Mapping, Sequence
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from vgps_models.errors import VgpsError
from vgps_models.spaces import Image

HEIGHT = 384  # [px] of a camera's picture
LINE, EDGE = 24, 12  # [px] of a line of text and around it
INK, BACKGROUND = (236, 240, 245), (15, 19, 26)
PAGE = """<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>vgps watch</title>
<style>body{margin:0;background:#0f131a;color:#ecf0f5;font:15px/1.5 system-ui,sans-serif}
img{display:block;width:100%;max-width:1000px}p{margin:12px;white-space:pre-wrap;font-family:ui-monospace,monospace}</style>
<img src="stream" alt="the robot's cameras and its state">
<p id="lost" hidden>The graph is gone. Start it again with vgps up sim; this page goes on by itself.</p>
<script>const image=document.querySelector("img"),lost=document.querySelector("#lost");
setInterval(async()=>{try{const s=await(await fetch("state.json")).json();
if(lost.hidden===false&&s.alive)image.src="stream?"+Date.now();lost.hidden=s.alive}catch{lost.hidden=false}},1000)</script>
"""


def compose(images: Mapping[str, Image], lines: Sequence[str]) -> Image:
    """Cameras side by side, lines of text below. images: (height, width, 3) RGB. Shape (h, w, 3), both even."""
    pictures = {name: _scaled(image) for name, image in images.items()}
    width = max(sum(picture.width for picture in pictures.values()), 2 * HEIGHT)
    height = HEIGHT + 2 * EDGE + LINE * max(len(lines), 1)
    canvas = Picture.new("RGB", (width + width % 2, height + height % 2), BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    left = 0
    for name, picture in pictures.items():
        canvas.paste(picture, (left, 0))
        draw.text((left + EDGE, EDGE), name, font=_font(16), fill=INK, stroke_width=2, stroke_fill=BACKGROUND)
        left += picture.width
    for i, line in enumerate(lines):
        draw.text((EDGE, HEIGHT + EDGE + LINE * i), _fitted(draw, line, width - 2 * EDGE), font=_font(16), fill=INK)
    return np.asarray(canvas)


def _scaled(image: Image) -> Picture.Image:
    width = max(1, round(image.shape[1] * HEIGHT / image.shape[0]))
    return Picture.fromarray(image).resize((width, HEIGHT), Picture.Resampling.BICUBIC)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _fitted(draw: ImageDraw.ImageDraw, text: str, width: int) -> str:
    """A text, cut with an ellipsis where it is too wide."""
    text = " ".join(text.split())  # a line break would be another line
    if draw.textlength(text, font=_font(16)) <= width:
        return text
    while text and draw.textlength(f"{text}...", font=_font(16)) > width:
        text = text[:-1]
    return f"{text}..."


def jpeg(image: Image) -> bytes:
    buffer = io.BytesIO()
    Picture.fromarray(image).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


# Fragments that are written at once, so that what is in the file can be played.
GROWING = {"movflags": "frag_keyframe+empty_moov", "flush_packets": "1"}


class Film:
    """An MP4 that grows picture by picture and can be played up to where it was cut off."""

    def __init__(self, path: Path, fps: float) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.count = path, 0
        self._rate = Fraction(fps).limit_denominator(1000)
        self._container: Any = av.open(str(path), "w", format="mp4", options=GROWING)
        self._stream: Any = None

    def add(self, image: Image) -> None:
        """All pictures are as large as the first; others are brought to its size."""
        if self._stream is None:
            self._stream = self._container.add_stream(
                "libx264", rate=self._rate, options={"crf": "20", "g": "10", "tune": "zerolatency"}
            )
            self._stream.height, self._stream.width = image.shape[:2]
            self._stream.pix_fmt = "yuv420p"
        if image.shape[:2] != (self._stream.height, self._stream.width):
            image = np.asarray(Picture.fromarray(image).resize((self._stream.width, self._stream.height)))
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts, frame.time_base = self.count, 1 / self._rate
        for packet in self._stream.encode(frame):
            self._container.mux(packet)
        self.count += 1

    def close(self) -> None:
        """End the file; one without a picture is deleted."""
        if self._stream is not None:
            for packet in self._stream.encode():
                self._container.mux(packet)
        self._container.close()
        if self._stream is None:
            self.path.unlink(missing_ok=True)


class Server:
    """A page on 127.0.0.1 with the newest picture. Pictures are encoded only while somebody looks.

    port: 0 for any free one. Raises VgpsError when the port is taken.
    """

    def __init__(self, port: int) -> None:
        self._new = threading.Condition()
        self._picture: Image | None = None
        self._number = 0
        self._state: dict[str, Any] = {"alive": False}
        handler = type("Handler", (_Handler,), {"viewer": self})
        try:
            self._http = ThreadingHTTPServer(("127.0.0.1", port), handler)
        except (OSError, OverflowError) as error:
            raise VgpsError(f"port {port} of 127.0.0.1 cannot be used ({error}); choose another with --port") from None
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/"
        threading.Thread(target=self._http.serve_forever, args=(0.1,), name="viewer", daemon=True).start()

    def show(self, picture: Image, state: Mapping[str, Any]) -> None:
        """Make this the newest picture."""
        with self._new:
            self._picture, self._state, self._number = picture, dict(state), self._number + 1
            self._new.notify_all()

    def next(self, after: int, within: float) -> tuple[int, Image | None]:
        """Number and picture of the first one after a number; the same number and None when none comes in time [s]."""
        with self._new:
            self._new.wait_for(lambda: self._number > after, within)
            return (self._number, self._picture) if self._number > after else (after, None)

    @property
    def state(self) -> dict[str, Any]:
        return self._state

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    viewer: Server

    def do_GET(self) -> None:
        if self.headers.get("Host", "").rpartition(":")[0] not in ("127.0.0.1", "localhost"):
            self.send_error(403, "only 127.0.0.1 is served")  # another site's name that leads here
        elif self.path == "/":
            self._send("text/html; charset=utf-8", PAGE.encode())
        elif self.path == "/state.json":
            self._send("application/json", json.dumps(self.viewer.state).encode())
        elif self.path.partition("?")[0] == "/stream":
            self._stream()
        else:
            self.send_error(404)

    def _send(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        """Motion JPEG: one part a picture, until the reader goes."""
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        number = 0
        try:
            while True:
                number, picture = self.viewer.next(number, 5.0)
                if picture is not None:
                    body = jpeg(picture)
                    head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
                    self.wfile.write(head.encode() + body + b"\r\n")
        except OSError:
            return

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal shows the state of the graph."""
