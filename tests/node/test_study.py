"""Studies: their experiments fit the recipes, a record keeps every outcome, and the page says what the records say."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tyro

from vgps_models.checkpoint import shipped
from vgps_models.errors import DataError, UnknownNameError, VgpsError
from vgps_node.commands import data, train, video
from vgps_node.rewarding import LearnReward, Relabel
from vgps_node.study import filtering, markdown, play, record, rewards, shown, vptr
from vgps_node.study.recipe import Recipe, recipe
from vgps_node.study.steering import page, recipes
from vgps_node.study.studies import STUDIES, Study, get_study
from vgps_sim.collect import CollectConfig
from vgps_sim.people.videos import VideosConfig
from vgps_sim.results import Condition, EpisodeResult, Evaluation
from vgps_sim.scenes import ScenesConfig

TASKS = ("put_spoon_on_towel", "put_carrot_on_plate")


def evaluation(sides: list[str], n: int = 8, seed: int = 0, missing: int = 0) -> Evaluation:
    random = np.random.default_rng(seed)
    pairs = tuple((TASKS[i % 2], 100 + i) for i in range(n))
    results = [
        EpisodeResult(task, at, side, bool(random.random() < 0.5), 10)
        for side in sides
        for task, at in pairs[: n - missing]
    ]
    return Evaluation(tuple(Condition(s) for s in sides), pairs, tuple(results), command="vgps study play x", git="abc")


@pytest.mark.parametrize("study", STUDIES.values(), ids=lambda s: s.name)
def test_every_side_plays_a_checkpoint_that_a_recipe_makes(study: Study) -> None:
    made = {str(r.out) for stage in study.stages() for r in stage} | set(shipped())
    for experiment in study.experiments():
        for side in experiment.sides.values():
            assert side.policy in made, (experiment.name, side.policy)
            assert side.critic is None or side.critic in made, (experiment.name, side.critic)
        assert {str(path) for path in (experiment.trust or {}).values()} <= made


def _config_of(name: str, rest: list[str]) -> tuple[Any, list[str]]:
    """What the command line would parse, and its arguments."""
    if name == "video":
        return video.PARTS[rest[0]][0], rest[1:]
    if name == "train":
        module, config, _ = train.PARTS[rest[0]]
        return getattr(importlib.import_module(f"vgps_models.training.{module}"), config), rest[1:]
    if name == "data":
        return data.PARTS[rest[0]][0], rest[1:]
    if name == "reward":
        return {"learn": LearnReward, "relabel": Relabel}[rest[0]], rest[1:]
    return {"scenes": ScenesConfig, "collect": CollectConfig, "videos": VideosConfig}[name], rest


ALL = {str(r.out): r for study in STUDIES.values() for stage in study.stages() for r in stage}


@pytest.mark.parametrize("recipe", ALL.values(), ids=lambda r: str(r.out))
def test_every_recipe_is_a_command_that_exists(recipe: Recipe) -> None:
    """Parsed as the command line would, and refused there if an option is unknown."""
    name, *rest = recipe.command
    kind, arguments = _config_of(name, rest)
    assert getattr(tyro.cli(kind, args=arguments), recipe.option.removeprefix("--")) == recipe.out


def test_a_recipe_is_made_when_its_last_file_is_there(tmp_path: Path) -> None:
    weights, table, folder = tmp_path / "a.safetensors", tmp_path / "b.parquet", tmp_path / "c"
    made = [recipe(weights, "x"), recipe(table, "x"), recipe(folder, "x"), recipe(folder, "x", whole=True)]
    assert [r.made for r in made] == [False] * 4
    weights.touch()
    table.touch()
    folder.mkdir()
    assert [r.made for r in made] == [False, True, False, True]
    weights.with_suffix(".json").touch()
    assert made[0].made


@pytest.mark.parametrize("study", STUDIES.values(), ids=lambda s: s.name)
def test_experiments_have_names_of_their_own_and_enough_episodes(study: Study) -> None:
    names = [e.name for e in study.experiments()]
    assert len(set(names)) == len(names)
    assert all(e.episodes >= 200 for e in study.experiments())
    with pytest.raises(UnknownNameError, match=names[0]):
        study.experiment("headline")


def test_an_unknown_study_lists_the_known() -> None:
    with pytest.raises(UnknownNameError, match="filtering"):
        get_study("fishing")


def test_a_record_gives_back_every_outcome(tmp_path: Path) -> None:
    played = evaluation(["bare", "guided"], missing=2)
    again = record.read(record.write(played, "x", "why?", tmp_path))
    for side in ("bare", "guided"):
        won = [played.outcomes[side][p].success for p in played.pairs[:-2]]
        assert again.outcomes[side][:-2].tolist() == won and np.isnan(again.outcomes[side][-2:]).all()
        assert again.rate(side)[0] == pytest.approx(np.mean(won)) and again.rate(side)[2] == 6
    assert again.tasks == tuple(task for task, _ in played.pairs)
    assert again.pair("guided", "bare").difference == pytest.approx(played.pair("guided", "bare").difference)


@pytest.mark.parametrize("damage", ["truncated", "unknown sign", "row too short", "no outcomes"])
def test_a_damaged_record_is_named(tmp_path: Path, damage: str) -> None:
    path = record.write(evaluation(["bare"]), "x", "why?", tmp_path)
    data = json.loads(path.read_text(encoding="utf-8"))
    if damage == "unknown sign":
        data["outcomes"]["bare"] = "2" * 8
    if damage == "row too short":
        data["outcomes"]["bare"] = "1"
    if damage == "no outcomes":
        del data["outcomes"]
    path.write_text(
        path.read_text(encoding="utf-8")[:50] if damage == "truncated" else json.dumps(data), encoding="utf-8"
    )
    with pytest.raises(DataError, match=r"x\.json"):
        record.read(path)


def test_the_page_shows_what_was_played_and_names_what_was_not(tmp_path: Path) -> None:
    for architecture in recipes.ARCHITECTURES:
        for seed in recipes.POLICY_SEEDS:
            name = f"headline-{architecture}-{seed}"
            sides = list(get_study("steering").experiment(name).sides)
            record.write(evaluation(sides, 20, seed), name, "why?", tmp_path / "records")
    sides = list(get_study("steering").experiment("k-flow").sides)
    record.write(evaluation(sides, 20, 3), "k-flow", "why?", tmp_path / "records")
    records = record.read_all(tmp_path / "records")
    written = page.write(records, tmp_path / "page.md", tmp_path / "pictures", "It helped.").read_text(encoding="utf-8")
    gain = page.gain_of(records, recipes.ARCHITECTURES)
    assert "It helped." in written and f"{gain.relative:+.0%}" in written
    assert "headline-gmm-1.json" in written and "strongest" in written.split("Not played yet")[1]
    rate = records["k-flow"].rate("k100")[0]
    assert f"{rate:.3f}".lstrip("0") in written
    assert {p.name for p in (tmp_path / "pictures").iterdir()} == {"headline.svg", "candidates.svg"}


def test_the_page_shows_how_calibrated_the_critics_are_and_when_guidance_let_go(tmp_path: Path) -> None:
    successes = {"count": 40, "predicted": -12.0, "observed": -11.0}
    made = {"error": 1.25, "bias": -0.5, "frames": 80, "bins": [{"successes": successes}, {"successes": {"count": 0}}]}
    (tmp_path / "critics").mkdir()
    (tmp_path / "critics" / "calql-0.calibration.json").write_text(json.dumps(made), encoding="utf-8")
    record.keep_calibrations(tmp_path / "critics", tmp_path / "kept")
    calibrations = record.read_calibrations(tmp_path / "kept")
    assert calibrations == {"calql-0": made}
    record.write(evaluation(["bare", "guided", "abstaining"]), "abstention-knocked", "why?", tmp_path / "records")
    records = record.read_all(tmp_path / "records")
    page.write(records, tmp_path / "page.md", tmp_path / "pictures", "", calibrations)
    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "| calql-0 | 1.25 | -0.50 | 80 |" in text and "let go in 0.0% of the episodes" in text
    assert (tmp_path / "pictures" / "calibration.svg").exists()
    (tmp_path / "kept" / "calql-0.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match=r"calql-0\.json"):
        record.read_calibrations(tmp_path / "kept")


def test_the_page_on_filtering_compares_with_everything_over_the_training_seeds(tmp_path: Path) -> None:
    for seed in filtering.SEEDS:
        played = evaluation(list(filtering.KINDS), 50, seed)
        record.write(played, f"filtering-{seed}", "why?", tmp_path / "records")
    records = record.read_all(tmp_path / "records")
    page = filtering.write(records, tmp_path / "page.md", tmp_path / "pictures", "It depends.", tmp_path / "records")
    text = page.read_text(encoding="utf-8")
    rates = [records[f"filtering-{s}"].rate("filtered")[0] for s in filtering.SEEDS]
    assert "It depends." in text and f"| filtered | **{markdown.rate(float(np.mean(rates)))}**" in text
    assert (tmp_path / "pictures" / "filtering.svg").exists() and "Not played yet" not in text


def test_the_page_on_watching_compares_with_scratch_and_shows_what_values_are_worth(tmp_path: Path) -> None:
    for name in ("robot-data-10", "cluttered"):
        sides = list(get_study("vptr").experiment(name).sides)
        record.write(evaluation(sides, 40, len(name)), name, "why?", tmp_path)
    found = {"videos": 3, "voc": {"median": 0.9, "ci95": [0.8, 0.95]}, "nearing": {"median": 0.7, "ci95": [0.6, 0.8]}}
    (tmp_path / "values").mkdir()
    curves = {"curves": [{"values": [-3.0, -1.0, 0.0]}, {"values": [-2.0, 0.0]}]}
    (tmp_path / "values" / "tongs.json").write_text(json.dumps(found | curves), encoding="utf-8")
    records = record.read_all(tmp_path)
    page = vptr.write(records, tmp_path / "page.md", tmp_path / "pictures", "They watched.", tmp_path)
    text = page.read_text(encoding="utf-8")
    assert "They watched." in text and "| tongs | 3 | 0.900 (0.800 to 0.950) |" in text
    of = records["robot-data-10"]
    rates = [of.rate(f"video-{seed}")[0] for seed in vptr.CRITIC_SEEDS["10"]]
    difference = np.mean(rates) - np.mean([of.rate(f"scratch-{seed}")[0] for seed in vptr.CRITIC_SEEDS["10"]])
    assert f"{100 * difference:+.1f} (" in text and "Not played yet: robot-data-100" in text
    made = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert made == {"robot_data.svg", "elsewhere.svg", "values.svg"}


def test_the_page_on_rewards_has_every_way_and_task_and_compares_with_bare(tmp_path: Path) -> None:
    sides = ["bare", *(f"{side}-{seed}" for side in rewards.SIDES for seed in rewards.SEEDS)]
    record.write(evaluation(sides, 40), "relabelled", "does it?", tmp_path)
    records = record.read_all(tmp_path)
    text = rewards.write(records, tmp_path / "rewards.md", tmp_path, "It did.", tmp_path).read_text(encoding="utf-8")
    assert "It did." in text and "Not played yet" not in text and (tmp_path / "relabelled.svg").exists()
    for side in rewards.SIDES:
        won = np.mean([records["relabelled"].outcomes[f"{side}-{seed}"] for seed in rewards.SEEDS])
        gain = 100 * (won - records["relabelled"].outcomes["bare"].mean())
        (row,) = [line for line in text.splitlines() if line.startswith(f"| {side} |") and "**" in line]
        assert f"{gain:+.1f} (" in row


def test_the_page_on_what_people_showed_compares_with_few_of_the_robots_own(tmp_path: Path) -> None:
    (experiment,) = shown.everything()
    record.write(evaluation(list(experiment.sides), 40), "seeded", "does it?", tmp_path)
    records = record.read_all(tmp_path)
    text = shown.write(records, tmp_path / "shown.md", tmp_path, "It did.", tmp_path).read_text(encoding="utf-8")
    assert "It did." in text and "Not played yet" not in text and (tmp_path / "seeded.svg").exists()

    def rate(side: str) -> float:
        return float(np.mean([records["seeded"].outcomes[f"{side}-{seed}"] for seed in shown.SEEDS]))

    for side in ("shown", "few_shown", shown.GUIDED):
        (row,) = [line for line in text.splitlines() if line.startswith(f"| {side} |") and "**" in line]
        assert f"{100 * (rate(side) - rate('few')):+.1f} (" in row


def test_what_people_showed_is_added_to_what_the_robot_has() -> None:
    """Two commands write one folder, one after the other; policies come after both."""
    first, second, third = shown.stages()
    assert [r.out for r in second] == [shown.data("few_shown")]
    assert second[0].arguments != next(r for r in first if r.out == shown.data("few_shown")).arguments
    assert len(third) == len(shown.SIDES) * len(shown.SEEDS)


def test_after_a_command_that_failed_no_further_one_is_begun(tmp_path: Path) -> None:
    stage = [recipe(tmp_path / f"{number}.png", "no-such-command") for number in range(6)]
    with pytest.raises(VgpsError, match=r"no-such-command --out .*ended with exit code 2"):
        play.make([stage], tmp_path / "log", jobs=1)
    assert len(list((tmp_path / "log").iterdir())) <= 2  # one may begin before the failure of another is seen
