"""The `vgps` command: finds the command, imports only what that one needs, and turns errors into sentences."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata

from vgps_models.errors import UnknownNameError, UsageError, VgpsError
from vgps_node import extras


@dataclass(frozen=True)
class Command:
    """target: `module:function` under vgps_node.commands; the function takes (arguments, prog)."""

    target: str
    help: str


COMMANDS: dict[str, Command] = {
    "demo": Command("demo:main", "the main job: bare against guided policy over ROS 2, with a report"),
    "up": Command("up:main", "bring the ROS graph up and keep it up"),
    "run": Command("run:main", "let the running graph carry out a task, and show its progress"),
    "stop": Command("stop:main", "engage the emergency stop of the running graph"),
    "cancel": Command("stop:cancel", "cancel the running task, from any terminal"),
    "tasks": Command("tasks:main", "the tasks of the simulator, in words"),
    "release": Command("stop:release", "release the emergency stop and clear a fault"),
    "status": Command("status:main", "what the running graph does: nodes, gate, task, rates"),
    "watch": Command("watch:main", "cameras and state of the running robot, as a page, a film or a picture"),
    "eval": Command("evaluation:main", "success rates of policies, on the same seeds, with intervals"),
    "power": Command("power:main", "how many seeds an evaluation needs to notice a drop in success"),
    "collect": Command("collect:main", "record demonstrations in the simulator"),
    "scenes": Command("collect:scenes", "make labelled random scenes, for the image encoder"),
    "poses": Command(
        "collect:poses", "make labelled pictures of a person or the robot, for the finder of joints and things"
    ),
    "train": Command("train:main", "train encoder, video values, policy, critic or progress estimator"),
    "videos": Command("videos:main", "film other embodiments at the tasks, without actions"),
    "data": Command("data:main", "info, check, repair, progress or filter a data set"),
    "video": Command("video:main", "pack, count and look at video without actions"),
    "progress": Command("progress:main", "how far along an episode is, and whether the estimator can be trusted"),
    "reward": Command("reward:main", "learn a reward by watching a person, and check what it is worth"),
    "film": Command("retarget:film", "film a person in simulation, with depth, as a recording"),
    "retarget": Command("retarget:main", "bring a person's motion from a recording to an arm, with a page of plots"),
    "study": Command("study:main", "a study: train, play on the report seeds, write its page in docs"),
    "markers": Command("markers:main", "a sheet of markers to print, by which things and the table are found"),
    "bench": Command("bench:main", "measure latencies of this machine"),
    "doctor": Command("doctor:main", "what this machine has and lacks, and the command that mends it"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0 done, 1 failed, 2 a wrong command; `vgps eval` has more."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if not arguments or arguments[0] in ("-h", "--help"):
            print(usage())
            return 0 if arguments else 2
        if arguments[0] == "--version":
            print(f"vgps {metadata.version('vgps')}")
            return 0
        name, rest = arguments[0], arguments[1:]
        if name not in COMMANDS:
            raise UnknownNameError("command", name, COMMANDS)
        module, function = COMMANDS[name].target.split(":")
        run = getattr(importlib.import_module(f"vgps_node.commands.{module}"), function)
        return run(rest, prog=f"vgps {name}") or 0
    except UnknownNameError as error:
        near = difflib.get_close_matches(error.name, error.valid, n=1)
        print(f"error: {error}" + (f". Did you mean '{near[0]}'?" if near else ""), file=sys.stderr)
        return 2
    except VgpsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except ModuleNotFoundError as error:
        if (missing := extras.explained(error, prog=f"vgps {arguments[0]}")) is None:
            raise
        print(f"error: {missing}", file=sys.stderr)
        return 1
    except UnicodeEncodeError as error:  # a name or an argument; output has lost what it cannot express by now
        print(f"error: this locale has no encoding for {error.object[:80]!a}; set PYTHONUTF8=1", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interrupt:
        print(str(interrupt) or "interrupted", file=sys.stderr)
        return getattr(interrupt, "exit_code", 130)
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def choose(
    what: str, choices: Sequence[str], arguments: Sequence[str], *, prog: str, about: str
) -> tuple[str, list[str]]:
    """Split a word that must be one of `choices` off the arguments. Asked for help, prints it and leaves."""
    arguments = list(arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"usage: {prog} {{{','.join(choices)}}} [options]\n\n{about}\n\n{prog} {choices[0]} --help says more.")
        raise SystemExit(0 if arguments else 2)
    if arguments[0] not in choices:
        raise UnknownNameError(what, arguments[0], choices)
    return arguments[0], arguments[1:]


def usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name.ljust(width)}  {command.help}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: vgps COMMAND [options]",
            "",
            "Value-guided control of robot policies over ROS 2.",
            "",
            *lines,
            "",
            "vgps COMMAND --help says more.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
