"""vgps bench score|train|video-training|listen|prompts|video|irl|retarget|replay|hands|watching|markers"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import tyro

from vgps_node.cli import choose
from vgps_node.commands.numbers import Measured, tell

PARTS = {
    "score": ("vgps_models.training.bench", "ScoreBench", "bench_score"),
    "train": ("vgps_models.training.bench_train", "TrainBench", "bench_train"),
    "video-training": ("vgps_models.training.bench_video", "VideoTrainBench", "bench_video_training"),
    "prompts": ("vgps_models.progress.bench", "PromptBench", "bench_prompts"),
    "video": ("vgps_models.video.bench", "VideoBench", "bench_video"),
    "retarget": ("vgps_sim.retarget.compare", "RetargetBench", "bench_retarget"),
    "replay": ("vgps_sim.retarget.replayed", "ReplayBench", "bench_replay"),
    "hands": ("vgps_sim.human.examination", "HandsBench", "bench_hands"),
    "markers": ("vgps_sim.marked.examination", "MarkersBench", "bench_markers"),
    "irl": ("vgps_models.irl.recovery", "Recovery", "recover"),
    "watching": ("vgps_node.watching_bench", "WatchingBench", "bench_watching"),
    "listen": ("vgps_node.listening", "ListenBench", "bench_listen"),
}


def main(arguments: Sequence[str], *, prog: str) -> int:
    """Measure this machine, how well a critic listens, or whether rewards are found.

    Examples:
        vgps bench score --json runs/bench-score.json    scoring K chunks, encoder included
        vgps bench score --config resnet34 --threads 2 --json runs/bench-resnet34.json    the published critic
        vgps bench train --json runs/bench-train.json    one training step of the published critic
        vgps bench video-training --json runs/bench-video-training.json    frames a second, and whether it waits
        vgps bench prompts --data data/mixed --json runs/bench-prompts.json    questions to vision-language models
        vgps bench video --json runs/bench-video.json    batches of video, and whether a trainer waits for them
        vgps bench irl --json runs/bench-irl.json    do AIRL and MaxEnt IRL find rewards that are known?
        vgps bench retarget --json runs/bench-retarget.json    a person's motions on both arms
        vgps bench replay --json runs/bench-replay.json    and done by the robot: how often does it succeed?
        vgps bench hands --json runs/bench-hands.json    are hands found, and how far off are their landmarks?
        vgps bench hands --photographs tests/models/photographs    the same in photographs that a person marked
        vgps bench watching --json runs/bench-watching.json    a person filmed, and both arms after them
        vgps bench markers --json runs/bench-markers.json    how far off are things and camera that markers tell?
        vgps bench listen --critic critic --json runs/bench-listen.json    does it prefer the right instruction?
    """
    part, rest = choose("bench", list(PARTS), arguments, prog=prog, about=main.__doc__ or "")
    module, config_name, bench_name = PARTS[part]
    made = importlib.import_module(module)
    from vgps_models.training.neighbours import machine

    kind = getattr(made, config_name)
    command = tyro.cli(Measured[kind], args=rest, prog=f"{prog} {part}", description=kind.__doc__)
    tell(getattr(made, bench_name)(command.settings) | {"machine": machine()}, command.json)
    return 0
