"""The pages about policies and tasks of one's own: every Python file, every evaluation and the workflow is run."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))
from doc_blocks import HOW_TO, ROOT, blocks, files

POLICY, TASK, CI = (HOW_TO / f"{name}.md" for name in ("own-policy", "own-task", "ci"))
ON_THE_GRAPH = {"my_policy_node.py", "my_graph.py"}  # tests/ros/test_own_policy_node.py
# Enough to play both sides; a test of the pages needs no figures.
SHORT = {"range(4)": "range(2)", "processes=2": "processes=1, max_steps=4", "range(5)": "range(2)"}
PRINTED = {
    "compare.py": r"model and function|“model”|report\.html",
    "try_my_task.py": r"the expert solves 2 of 2",
    "eval_my_task.py": r"guided solved 0 of 2",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a reader has it, with all files of the pages."""
    folder = tmp_path_factory.mktemp("mine")
    for name, text in files(POLICY, TASK).items():
        for long, short in SHORT.items():
            text = text.replace(long, short)
        (folder / name).write_text(text, encoding="utf-8")
    for name in ("new", "old"):
        for suffix in (".safetensors", ".json"):
            shutil.copy(ROOT / "models/vgps_models/checkpoints" / f"policy{suffix}", folder / f"{name}{suffix}")
    return folder


def python(folder: Path, *words: str) -> str:
    done = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_file_of_the_pages_is_run_here_or_imported_by_one_that_is() -> None:
    modules = {"my_policy.py", "my_model.py", "my_task.py", "my_lift.py"}
    assert set(files(POLICY, TASK)) == modules | set(PRINTED) | ON_THE_GRAPH


@pytest.mark.parametrize("name", PRINTED)
def test_scripts_of_the_pages_run(name: str, folder: Path) -> None:
    assert re.search(PRINTED[name], python(folder, name))


def test_tasks_of_the_page_are_worlds_and_environments(folder: Path) -> None:
    code = (
        "import gymnasium, my_lift, my_task\n"
        "from vgps_sim.env import execute, start\n"
        "from vgps_sim.experts import Expert\n"
        "from vgps_sim.kinematics import ToolServo\n"
        "world = my_lift.make_world('lift_carrot')\n"
        "servo, expert = ToolServo(world.spec), Expert()\n"
        "start(world, servo, 0)\n"
        "before = world.success\n"
        "while not world.success and world.step < world.task.max_steps:\n"
        "    execute(world, servo, expert.act(world))\n"
        "print(before, world.success, 'placed' in world.events)\n"
        "env = gymnasium.make('my_task:VGPS/PutRedBlockInBasket-v0', image_size=32)\n"
        "print(env.reset(seed=0)[0]['instruction'])\n"
    )
    assert python(folder, "-c", code) == "False True False\nput the red block in the basket\n"


def evaluations() -> list[str]:
    lines = [line for page in (POLICY, CI) for block in blocks(page, "") for line in block.splitlines()]
    return [line for line in lines if line.startswith("vgps eval")]


@pytest.mark.parametrize("line", evaluations())
def test_evaluations_of_the_pages_run(
    line: str, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from vgps_node.cli import main

    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    words = shlex.split(re.sub(r"--episodes \d+", "--episodes 4 --max-steps 4 --processes 1", line), comments=True)
    words = words[1:] + ["--json", str(tmp_path / "numbers.json")]
    code = main(words)
    numbers = json.loads((tmp_path / "numbers.json").read_text(encoding="utf-8"))
    assert numbers["stopped"] is None and all(side["episodes"] == 4 for side in numbers["conditions"].values())
    assert code == (3 if "--fail-under" in words else 4 if "--until" in words else 0), capsys.readouterr().err


# The workflow


def workflow() -> dict[str, Any]:
    (text,) = blocks(CI, "yaml")
    return yaml.safe_load(text)["jobs"]["compare"]


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=me", "-c", "user.email=me@example.com", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *who, *words], cwd=folder, capture_output=True, encoding="utf-8", check=True)
    return done.stdout.strip()


def test_the_workflow_compares_two_commits_and_plays_nothing_twice(tmp_path: Path) -> None:
    """Its own scripts, with fewer and shorter episodes; the second run is that of a change elsewhere."""
    checkout = tmp_path / "checkout"
    policy = checkout / "policy" / "__init__.py"
    policy.parent.mkdir(parents=True)
    git(checkout, "init")
    commits = []
    for height, word in ((0.08, "old"), (0.1, "new"), (0.1, "unrelated")):
        policy.write_text(files(POLICY)["my_policy.py"].replace("0.08", str(height)), encoding="utf-8")
        (checkout / "word").write_text(word, encoding="utf-8")
        git(checkout, "add", "policy", "word")
        git(checkout, "commit", "-m", word)
        commits.append(git(checkout, "rev-parse", "HEAD"))
    job = workflow()
    scripts = {step.get("name"): step["run"] for step in job["steps"] if "run" in step}
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "vgps").symlink_to(Path(sys.executable).parent / "vgps")

    def run(step: str, old: str) -> subprocess.CompletedProcess[str]:
        script = scripts[step].replace('--episodes "$SEEDS"', "--episodes 4 --max-steps 4 --processes 1")
        assert script != scripts[step]
        environment = os.environ | {name: value for name, value in job["env"].items() if "${{" not in value}
        environment |= {
            "OLD_COMMIT": old,
            "GITHUB_WORKSPACE": str(checkout),
            "RUNNER_TEMP": str(tmp_path),
        }
        environment |= {"PATH": f"{tmp_path / 'bin'}:{environment['PATH']}"}
        return subprocess.run(
            ["bash", "-e", "-c", script], cwd=checkout, env=environment, capture_output=True, encoding="utf-8"
        )

    git(checkout, "checkout", "--detach", commits[1])
    done = run("play the policy as it was", commits[0])
    assert done.returncode == 0, done.stderr
    journal = checkout / "runs" / "ci" / "episodes.jsonl"
    assert len(journal.read_text(encoding="utf-8").splitlines()) == 4
    done = run("compare", commits[0])
    assert done.returncode == 4 and "undecided: candidate-baseline>=-20%" in done.stdout, done.stderr
    assert len(journal.read_text(encoding="utf-8").splitlines()) == 8
    assert (checkout / "runs/ci/junit.xml").exists() and (checkout / "runs/ci/report.html").exists()
    sides = json.loads((checkout / "runs/ci/numbers.json").read_text(encoding="utf-8"))["conditions"]
    versions = {name: side["settings"]["policy_version"] for name, side in sides.items()}
    trees = [git(checkout, "rev-parse", f"{commit}:policy") for commit in commits]
    assert versions == {"baseline": trees[0], "candidate": trees[1]} and trees[1] == trees[2] != trees[0]
    git(checkout, "checkout", "--detach", commits[2])
    assert run("compare", commits[1]).returncode == 4
    assert len(journal.read_text(encoding="utf-8").splitlines()) == 8


def test_the_workflow_keeps_report_and_episodes_whatever_the_result_is() -> None:
    steps = workflow()["steps"]
    kept = {step["with"]["path"]: step for step in steps if step.get("if") == "always()"}
    assert set(kept) == {"runs/ci", "runs/ci/episodes.jsonl"}
    (restored,) = (step for step in steps if "cache/restore" in step.get("uses", ""))
    assert restored["with"]["key"] == kept["runs/ci/episodes.jsonl"]["with"]["key"]
    assert restored["with"]["key"].startswith(restored["with"]["restore-keys"].strip())


def test_the_page_installs_what_draws_and_extras_that_exist() -> None:
    from bootstrap import GL_PACKAGES

    text = CI.read_text(encoding="utf-8")
    for line in re.findall(r"apt-get install -y --no-install-recommends ([\w\- ]+)", text):
        assert set(line.split()) - {"git"} == set(GL_PACKAGES)
    known = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for extras in re.findall(r"vgps\[([\w,]+)\]", text):
        assert all(re.search(rf"^{extra} = \[", known, re.M) for extra in extras.split(","))


def test_the_table_of_seeds_is_what_vgps_power_prints() -> None:
    from vgps_node.commands.power import PowerConfig, table

    text = CI.read_text(encoding="utf-8")
    for row in table(PowerConfig())[2:]:
        assert row in text, f"docs/how-to/ci.md lacks the row {row}"
