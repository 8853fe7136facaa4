"""vgps video pack|info|sheet|values"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table

from vgps_models.errors import SpecError
from vgps_node.cli import choose
from vgps_node.commands.numbers import made, write_json

if TYPE_CHECKING:
    from vgps_models.video.info import Info

LISTED = 12  # problems that are printed one by one


@dataclass(frozen=True)
class PackCommand:
    sources: tyro.conf.Positional[tuple[str, ...]]  # paths, or KIND:PATH with ego4d, ssv2, lerobot, bags, rlds, files
    out: Path = Path("data/shards")  # folder of shards; more sources may be added to it later
    size: int = 96  # side of a frame [px]
    hz: float = 5.0  # frames a second, whatever the rate of the video
    fit: str = "crop"  # crop: the middle of the longer side | letterbox: all of it, with black bars
    codec: str = "jpeg"  # jpeg: a seventh of the size | raw: nothing to decode
    quality: int = 95  # of jpeg
    cut_s: float = 60.0  # longer recordings become several videos of this length [s]; 0 for never
    # only these cameras, NAME or NAME=CAMERA (front=observation.images.cam_high); all when none is given
    cameras: Annotated[tuple[str, ...], tyro.conf.arg(aliases=("--views",))] = ()
    text: str = ""  # what is done, for recordings that do not say
    embodiment: str = ""  # who does it, for sources that do not say: "human" or a robot's name
    frame_hz: float = 30.0  # rate of numbered frames whose folder holds no fps.txt [Hz]
    step_hz: float = 0.0  # rate of RLDS steps [Hz]; 0: that of the data set, if it is a known one
    processes: int = 2  # that decode, one thread each
    json: Path | None = None  # also write what was packed to this file


@dataclass(frozen=True)
class InfoCommand:
    root: tyro.conf.Positional[Path]  # folder of shards
    verify: bool = False  # compare every frame with its checksum
    json: Path | None = None  # also write what was found to this file


@dataclass(frozen=True)
class SheetCommand:
    root: tyro.conf.Positional[Path]  # folder of shards
    out: Path = Path("runs/video-sheet.png")  # picture to write
    videos: tuple[int, ...] = field(default_factory=tuple)  # numbers of videos; some at random if none is given
    count: int = 16  # how many at random
    columns: int = 8  # moments of each
    seed: int = 0  # of the choice


@dataclass(frozen=True)
class ValuesCommand:
    root: tyro.conf.Positional[Path]  # folder of shards that training did not see
    checkpoint: str = "runs/video.safetensors"  # of `vgps train video`
    count: int = 0  # videos, the first ones; 0 for all
    threads: int = 2  # torch threads
    json: Path | None = None  # also write what was found to this file


def main(arguments: Sequence[str], *, prog: str) -> int:
    """Video without actions, made ready to learn from.

    Examples:
        vgps video pack films/ --out data/shards --size 96 --hz 5      a folder of videos or numbered frames
        vgps video pack ego4d:/data/ego4d ssv2:/data/ssv2 --out data/human
        vgps video pack data/mixed --cameras front --out data/robot      a LeRobot data set; bags and RLDS as well
        vgps video info data/shards                                    hours, disk, what could not be used
        vgps video sheet data/shards --out runs/sheet.png              a picture of some of them
        vgps video values data/unseen --checkpoint runs/video.safetensors    do learned values rise to the end?
    """
    part, rest = choose("video command", list(PARTS), arguments, prog=prog, about=main.__doc__ or "")
    kind, run = PARTS[part]
    return run(tyro.cli(kind, args=rest, prog=f"{prog} {part}", description=main.__doc__))


def _pack(command: PackCommand) -> int:
    from vgps_models.video.form import Form
    from vgps_models.video.info import info
    from vgps_models.video.packing import PackConfig, pack
    from vgps_models.video.reading import DONE, THERE
    from vgps_models.video.sources import SourceOptions
    from vgps_node.commands.collect import bar

    form = Form(command.size, command.hz, command.fit, command.codec, command.quality, command.cut_s)
    options = SourceOptions(command.cameras, command.text, command.embodiment, command.frame_hz, command.step_hz)
    config = PackConfig(command.sources, command.out, form, options, command.processes)
    heard: Counter[str] = Counter()
    with bar() as progress:
        line = progress.add_task("recordings", total=None)

        def hear(name: str, outcome: str) -> None:
            heard[outcome] += 1
            bad = sum(count for kind, count in heard.items() if kind not in (DONE, THERE))
            progress.update(line, advance=1, description=f"recordings, {bad} with problems")

        packed = pack(config, lambda total: progress.update(line, total=total), hear)
    console = Console(emoji=False)
    for problem in packed.problems:
        console.print(f"source: {problem}", markup=False, highlight=False)
    if packed.busy:
        console.print(f"{packed.busy} shards are being written by another command")
    read = heard.total() - heard[THERE]
    console.print(
        f"{command.out}: {read} recordings read, {heard[THERE]} were there already", highlight=False, markup=False
    )
    found = info(command.out)
    write_json(command.json, found.to_json() | {"source_problems": list(packed.problems)})
    return _tell(console, command.out, found)


def _info(command: InfoCommand) -> int:
    from vgps_models.video.info import info
    from vgps_node.commands.collect import bar

    with bar() as progress:
        line = progress.add_task("verifying videos", total=None, visible=command.verify)
        found = info(
            command.root,
            verify=command.verify,
            progress=lambda done, total: progress.update(line, completed=done, total=total),
        )
    write_json(command.json, found.to_json())
    return _tell(Console(emoji=False), command.root, found)


def _sheet(command: SheetCommand) -> int:
    import numpy as np

    from vgps_models.errors import DataError
    from vgps_models.files import write_whole
    from vgps_models.video import VideoShards
    from vgps_models.video.sheet import choose as choose_videos
    from vgps_models.video.sheet import sheet

    shards = VideoShards(command.root)
    for number in command.videos:
        if not 0 <= number < len(shards.videos):
            raise DataError(f"{command.root} has videos 0 .. {len(shards.videos) - 1}; there is no {number}")
    videos = np.array(command.videos, np.int64)
    videos = videos if command.videos else choose_videos(shards, command.count, command.seed)
    write_whole(command.out, sheet(shards, videos, command.columns))
    print(f"wrote {command.out}: {len(videos)} of {len(shards.videos)} videos")
    return 0


def _values(command: ValuesCommand) -> int:
    import torch

    from vgps_models import checkpoint
    from vgps_models.icvf.examination import examine
    from vgps_models.video import VideoShards
    from vgps_node.commands.collect import bar

    torch.set_num_threads(command.threads)
    shards, values = VideoShards(command.root), checkpoint.load_video(command.checkpoint)
    if shards.form.size != values.size:
        raise SpecError(
            f"{command.root} has frames of {shards.form.size} px, {command.checkpoint} reads {values.size} px; "
            f"pack them with --size {values.size}"
        )
    videos = range(min(command.count or len(shards.videos), len(shards.videos)))
    with bar() as progress:
        line = progress.add_task("values", total=len(videos))
        found = examine(values, shards, videos, lambda: progress.advance(line))
    write_json(command.json, made(found))
    table = Table("measure", "median", "95 % interval")
    for name, what in (("voc", "value rises with time (VOC)"), ("nearing", "embedding nears the end"),
                       ("monotone", "steps on which the value does not fall")):  # fmt: skip
        low, high = found[name]["ci95"]
        table.add_row(what, f"{found[name]['median']:.3f}", f"{low:.3f} .. {high:.3f}")
    console = Console(emoji=False)
    console.print(f"{command.root}: {found['videos']} videos, {found['frames']} frames", highlight=False, markup=False)
    console.print(table)
    return 0


def _tell(console: Console, root: Path, found: Info) -> int:
    """Print what was found; 1 when shards are damaged or unfinished."""
    form = found.form
    console.print(
        f"{root}: {found.videos} videos, {found.hours:.2f} h, {found.frames} frames of {form.size} px "
        f"at {form.hz:g} Hz ({form.fit}, {form.codec}), {found.megabytes} MB; {found.with_text} with text",
        highlight=False,
    )
    table = Table("", "videos", "hours")
    for what, groups in (("source", found.sources), ("view", found.views), ("embodiment", found.embodiments)):
        for name, group in groups.items():
            table.add_row(f"{what} {name}", str(group.videos), f"{group.hours:.2f}")
    console.print(table)
    for name, count in found.notes.items():
        console.print(f"{name}: {count}", highlight=False)
    for kind, count in found.kinds.items():
        console.print(f"problem, {kind}: {count} recordings", highlight=False)
    for problem in found.problems[:LISTED]:
        console.print(f"  {problem}", markup=False, highlight=False)
    if len(found.problems) > LISTED:
        console.print(f"  and {len(found.problems) - LISTED} more; --json lists them all")
    for wrong in found.damaged:
        console.print(f"damaged: {wrong}", markup=False)
    if found.waiting:
        console.print(f"{found.waiting} recordings are in no finished shard; `vgps video pack` goes on with them")
    return 1 if found.damaged or found.waiting else 0


PARTS: dict[str, tuple[Any, Callable[[Any], int]]] = {
    "pack": (PackCommand, _pack),
    "info": (InfoCommand, _info),
    "sheet": (SheetCommand, _sheet),
    "values": (ValuesCommand, _values),
}
