"""Pictures for people: one even picture of any cameras, a film that can be cut off, a page for this machine alone."""

from __future__ import annotations

import http.client
import io
import json
import threading
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Picture

from vgps_models.errors import VgpsError
from vgps_node.viewer import Film, Server, compose

RED, BLUE = (np.full((48, 64, 3), color, np.uint8) for color in ((200, 30, 30), (30, 30, 200)))


@settings(max_examples=20)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), max_size=3),
    lines=st.lists(st.text(max_size=200), max_size=5),
)
def test_any_cameras_and_lines_make_one_even_picture(sizes: list[tuple[int, int]], lines: list[str]) -> None:
    images = {f"camera {i}": np.zeros((*size, 3), np.uint8) for i, size in enumerate(sizes)}
    picture = compose(images, lines)
    assert picture.dtype == np.uint8 and picture.shape[2] == 3
    assert picture.shape[0] % 2 == 0 and picture.shape[1] % 2 == 0


def test_cameras_stand_side_by_side_over_the_text() -> None:
    picture = compose({"front": RED, "wrist": BLUE}, ["gate  passing"])
    assert picture[200, 200].tolist() == [200, 30, 30] and picture[200, 800].tolist() == [30, 30, 200]
    assert picture[390:].max() > 200, "there is no text below the pictures"


def test_a_film_holds_every_picture_and_can_be_played_before_its_end(tmp_path: Path) -> None:
    film = Film(tmp_path / "deep" / "film.mp4", 5.0)
    for i in range(25):
        film.add(compose({"front": RED if i % 2 else BLUE}, [str(i)]))
    film.add(compose({"front": RED, "wrist": BLUE, "third": RED}, ["a camera more"]))
    partial = film.path.read_bytes()
    film.close()
    with av.open(str(film.path)) as container:
        frames = list(container.decode(video=0))
        assert len(frames) == film.count == 26 and container.streams.video[0].pix_fmt == "yuv420p"
        assert float(frames[5].time or 0) == pytest.approx(1.0)
    with av.open(io.BytesIO(partial), "r") as container:  # as after a kill
        assert sum(1 for _ in container.decode(video=0)) >= 10


def test_a_film_without_pictures_leaves_no_file(tmp_path: Path) -> None:
    film = Film(tmp_path / "film.mp4", 5.0)
    film.close()
    assert not film.path.exists()


def test_the_page_shows_the_newest_picture_to_this_machine_alone() -> None:
    server = Server(0)
    try:
        assert urlsplit(server.url).hostname == "127.0.0.1"
        with urlopen(server.url, timeout=10) as answer:
            page = answer.read().decode()
        assert "stream" in page and "state.json" in page
        stop = threading.Event()

        def feed() -> None:
            while not stop.wait(0.01):
                server.show(compose({"front": RED}, ["now"]), {"alive": True, "gate": None})

        thread = threading.Thread(target=feed)
        thread.start()
        try:
            with urlopen(f"{server.url}stream", timeout=10) as stream:
                head = stream.readline() + stream.readline() + stream.readline() + stream.readline()
                size = int(head.decode().partition("Content-Length: ")[2].split()[0])
                picture = np.asarray(Picture.open(io.BytesIO(stream.read(size))))
            assert abs(picture[200, 200].astype(int) - RED[0, 0]).max() < 10
            with urlopen(f"{server.url}state.json", timeout=10) as answer:
                assert json.load(answer)["alive"] is True
        finally:
            stop.set()
            thread.join()
        for host, path, status in (("evil.example", "/", 403), ("127.0.0.1", "/../etc/passwd", 404)):
            connection = http.client.HTTPConnection("127.0.0.1", urlsplit(server.url).port or 0, timeout=10)
            connection.putrequest("GET", path, skip_host=True)
            connection.putheader("Host", f"{host}:{urlsplit(server.url).port}")
            connection.endheaders()
            assert connection.getresponse().status == status
            connection.close()
        with pytest.raises(VgpsError, match="--port"):
            Server(urlsplit(server.url).port or 0)
        with pytest.raises(VgpsError, match="--port"):
            Server(70000)
    finally:
        server.close()
