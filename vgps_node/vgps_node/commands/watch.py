"""vgps watch"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.live import Live
from rich.text import Text

FPS = 5.0  # pictures a second of the page and of films
SETTLE = 5.0  # [s] in which every camera should have been found


@dataclass(frozen=True)
class WatchCommand:
    port: int = 8787  # of the page on 127.0.0.1; 0 for any free one, -1 for no page
    film: Path | None = None  # also write a film, an .mp4 file, until Ctrl-C
    picture: Path | None = None  # write one picture, a .png or .jpg file, and leave
    task: bool = False  # leave when the next task has ended
    wait: float = 10.0  # [s] that a graph is looked for


def main(arguments: Sequence[str], *, prog: str) -> int:
    """Watch the running robot: cameras and state as a page for the browser, as a film, or as one picture.

    It only listens, so it may be started and stopped at any time. The page is served to this machine alone; from
    another one: ssh -L 8787:127.0.0.1:8787 ROBOT, then open http://127.0.0.1:8787 there.

    Examples:
        vgps watch
        vgps watch --film runs/spoon.mp4 --task       until the next task has ended
        vgps watch --picture runs/now.png
    """
    command = tyro.cli(WatchCommand, args=list(arguments), prog=prog, description=main.__doc__)
    from PIL import Image

    from vgps_models.errors import VgpsError
    from vgps_node.graph_client import GraphClient, interruptible
    from vgps_node.graph_state import StateListener
    from vgps_node.viewer import Film, Server, compose

    for path, endings in ((command.film, (".mp4",)), (command.picture, (".png", ".jpg", ".jpeg"))):
        if path is not None and path.suffix.lower() not in endings:
            raise VgpsError(f"{path}: the name must end in {' or '.join(endings)}")
    if command.film is not None and command.film.exists():
        raise VgpsError(f"{command.film} exists; give another name, or delete it")
    interruptible()
    console = Console(emoji=False, stderr=True, highlight=False)
    with GraphClient("watch_client") as client:
        listener = StateListener(client.node, images=True)
        state = listener.state
        client.find(lambda: state.images, command.wait)
        if command.picture is not None:
            client.until(listener.complete, SETTLE)
            command.picture.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(compose(state.images, state.lines())).save(command.picture)
            print(command.picture)
            return 0
        server = Server(command.port) if command.port >= 0 else None
        film = Film(command.film, FPS) if command.film is not None else None
        if server is not None:
            console.print(f"open {server.url}; Ctrl-C leaves, the robot goes on", markup=False)
        seen = time.monotonic()
        try:
            with Live(console=console, refresh_per_second=4, transient=True) as live:
                while not (command.task and state.ends):
                    known = state.counts.total()
                    client.until(lambda: False, 1 / FPS)
                    now = time.monotonic()
                    seen = now if state.counts.total() > known else seen
                    alive = now - seen < 3.0
                    lines = state.lines() if alive else ["the graph is gone: nothing has come for 3 s"]
                    live.update(Text("\n".join(lines)))
                    picture = compose(state.images, lines)
                    if server is not None:
                        server.show(picture, state.to_json() | {"alive": alive})
                    if film is not None and alive:
                        film.add(picture)
        except KeyboardInterrupt:
            pass
        finally:
            if film is not None:
                film.close()
                console.print(f"{film.path}: {film.count} pictures, {film.count / FPS:.0f} s", markup=False)
            if server is not None:
                server.close()
    return 0
