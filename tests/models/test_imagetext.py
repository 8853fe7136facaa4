"""The small image-text model: facts and sentences it learns from, its training, its checkpoint."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vgps_models import checkpoint
from vgps_models.checkpoint import CheckpointError
from vgps_models.data import Columns, Episode, EpisodeStore, EpisodeWriter
from vgps_models.errors import DataError
from vgps_models.perception.phrases import GROUPS
from vgps_models.progress import Clip
from vgps_models.progress.backends import load_judge
from vgps_models.progress.clips import of_episode
from vgps_models.progress.vlmrm import VLMRM
from vgps_models.progress.vlmrm.network import ImageTextConfig, ImageTextNet
from vgps_models.training.captions import claims, truth
from vgps_models.training.imagetext import ImageTextTraining, train_imagetext
from vgps_models.training.truth import SCENES, Facts

SIZE = 32
TASKS = {"put_spoon_on_towel": "put the spoon on the towel", "put_carrot_on_plate": "put the carrot on the plate"}


def poses(steps: int, success: bool) -> tuple[np.ndarray, np.ndarray]:
    """A hand that comes, grasps at a third of the time and, if it succeeds, carries: (states, privileged poses)."""
    when = np.linspace(0, 1, steps)
    grasp, target = np.array([0.2, 0.0, 0.01]), np.array([0.3, 0.1, 0.0])
    carried = np.clip((when - 0.4) / 0.55, 0, 1)[:, None] * success
    thing = grasp + carried * (target - grasp) + np.array([0, 0, 0.08]) * np.sin(np.pi * carried)
    tool = np.where(when[:, None] < 0.33, grasp + np.array([0, -0.2, 0.1]) * (1 - 3 * when[:, None]), thing)
    held = ((when > 0.33) & success).astype(float)
    state = np.zeros((steps, 10))
    state[:, :3] = tool
    privileged = np.zeros((steps, 11))
    privileged[:, :3], privileged[:, 3:6], privileged[:, 7] = thing, target, held
    privileged[:, 8:11] = [0.35, -0.1, 0.02]
    return state, privileged


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve episodes of two tasks, half of them successes, with poses as the simulator records them."""
    root, random = tmp_path_factory.mktemp("captioned") / "set", np.random.default_rng(0)
    writer = EpisodeWriter(root)
    for i in range(12):
        task, steps, success = list(TASKS)[i % 2], 10, i % 4 < 2
        state, privileged = poses(steps, success)
        images = random.integers(0, 255, (steps, SIZE, SIZE, 3)).astype(np.uint8)
        writer.write(
            Episode(
                images={"front": images, "wrist": images}, proprio=state.astype(np.float32),
                joints=np.zeros((steps, 7), np.float32), actions=np.zeros((steps, 7), np.float32),
                instruction=TASKS[task], task_id=task, seed=i, success=success,
                environment_state=privileged.astype(np.float32),
            )
        )  # fmt: skip
    writer.finalise()
    return root


@pytest.fixture(scope="module")
def columns(data: Path) -> Columns:
    return EpisodeStore(data).columns()


@pytest.fixture(scope="module")
def settings(data, encoder_file, cache, tmp_path_factory) -> ImageTextTraining:
    out = tmp_path_factory.mktemp("imagetext") / "imagetext.safetensors"
    small = ImageTextConfig(probes=tuple(TASKS.values()), found=8, width=16, words=8, space=8)
    return ImageTextTraining(
        data=data, encoder=str(encoder_file), out=out, cache=cache, steps=10, batch=16, ends=4, variety=1, held_out=0.5,
        model=small,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(settings) -> Path:
    assert train_imagetext(settings) == settings.out
    return settings.out


def test_facts_follow_the_hand_and_the_object(columns):
    facts = Facts.of(columns)
    for first, end in zip(columns.bounds, columns.bounds[1:], strict=False):
        rows, won = slice(first, end), bool(columns.success[end - 1])
        done = facts.done[rows]
        assert (done >= 0).all() and (done <= 1).all() and (np.diff(done[:4]) > 0).all()
        assert (done[-1] == 1) == won and (facts.on[end - 1] == 1) == won
        assert facts.held[rows].any() == facts.lifted[rows].any() == won
        assert facts.beside[first] == 1 and facts.empty[first] == 1 and not facts.other_held[rows].any()
        assert (np.nan_to_num(facts.lifted[rows]) <= facts.held[rows]).all()
        assert (np.nan_to_num(facts.above[rows]) <= np.nan_to_num(facts.lifted[rows], nan=1)).all()


def test_a_thing_left_all_but_on_its_target_is_no_success(columns):
    """Had it been where it belongs, the episode would have ended."""
    poses = columns.environment_state.copy()
    first, end = columns.bounds[2:4]  # a failure
    assert not columns.success[end - 1]
    poses[end - 1, :2] = poses[end - 1, 3:5] + [0.04, 0.0]
    facts = Facts.of(replace(columns, environment_state=poses))
    assert np.isnan(facts.on[end - 1]) and 0.5 < facts.done[end - 1] < 1 and facts.on[first] == 0


def test_a_distractor_in_the_hand_is_told_from_the_object(columns):
    poses = columns.environment_state.copy()
    row = columns.bounds[2] + 8
    assert not poses[row, 7]
    poses[row, 10] += 0.1
    facts = Facts.of(replace(columns, environment_state=poses))
    assert facts.other_held[row] == 1 and facts.empty[row] == 0 and facts.held[row] == 0


@pytest.mark.parametrize("damage", ["no poses", "another task"])
def test_data_without_truth_is_refused(columns, damage):
    if damage == "no poses":
        columns = replace(columns, environment_state=np.zeros((len(columns), 0), np.float32))
    else:
        columns = replace(columns, instruction_tasks=("juggle",) * len(columns.instructions))
    with pytest.raises(DataError, match=r"vgps collect|juggle"):
        Facts.of(columns)


def test_wordings_that_are_kept_out_of_training_stay_out():
    made = claims()
    heard = {sentence for claim in made for sentence in claim.heard}
    assert not heard & {sentence for claim in made for sentence in claim.unheard}
    for group in GROUPS:
        for noun in (*group.objects[-3:], *group.targets[-3:]):
            known = any(noun in sentence for sentence in group.known)
            assert known or not any(f"the {noun} " in f"{sentence} " for sentence in heard), noun
    assert all(claim.heard and claim.unheard for claim in made)
    assert len({(claim.task, claim.fact) for claim in made}) == len(made)


def test_the_groups_of_phrases_are_of_the_scenes_tasks():
    for scene, group in zip(SCENES.values(), GROUPS, strict=True):
        assert all(name.split("_")[-1] in group.known[0] for name in (scene.object, scene.target))


def test_sentences_about_another_scene_are_false_unless_it_holds_the_thing(columns):
    made = claims(1)
    found = dict(zip(((c.task, c.fact) for c in made), truth(columns, made).T, strict=True))
    spoon = np.array(columns.instruction_tasks)[columns.instruction] == "put_spoon_on_towel"
    for fact in ("done", "todo", "on", "beside", "above", "scene"):
        assert not found["put_carrot_on_plate", fact][spoon].any(), fact
    assert found["put_carrot_on_plate", "scene"][~spoon].all() and found["", "any"].all()
    # The green block lies in the spoon's scene as the distractor.
    assert found["stack_green_block_on_yellow_block", "there"][spoon].all()
    assert np.isnan(found["stack_green_block_on_yellow_block", "near"][spoon]).all()
    own = found["put_spoon_on_towel", "done"] + found["put_spoon_on_towel", "todo"]
    assert np.allclose(own[spoon], 1)


def test_a_batch_gives_every_row_what_it_gets_alone():
    torch.manual_seed(0)
    net = ImageTextNet(ImageTextConfig(looks=5, probes=("a", "b"), found=4, width=8, words=4, space=6)).eval()
    looks, sentences = torch.randn(7, 2, 5), torch.randn(3, 384)
    seen, told = net.see(looks), net.read(sentences)
    assert torch.allclose(seen.norm(dim=-1), torch.ones(7)) and torch.allclose(told.norm(dim=-1), torch.ones(3))
    assert torch.allclose(torch.cat([net.see(one[None]) for one in looks]), seen, atol=1e-6)
    assert torch.allclose(torch.cat([net.read(one[None]) for one in sentences]), told, atol=1e-6)
    assert net.fit(seen, told).shape == (7, 3)


def test_a_trained_model_judges_clips_of_any_size_by_their_images(trained, data):
    model = checkpoint.load_imagetext(trained)
    clip = of_episode(EpisodeStore(data), 1)
    estimator = VLMRM(model)
    made = estimator.estimate(clip)
    assert made.source == "vlmrm:imagetext:alpha=0.25" and estimator.threshold is not None
    assert made.values.shape == made.spread.shape == (len(clip),) and made.spread.any()
    assert ((made.values >= 0) & (made.values <= 1)).all()
    many = clip.take(np.arange(40) % len(clip))  # more than one batch of the encoder
    assert np.allclose(estimator.estimate(many).values, made.values[np.arange(40) % len(clip)], atol=1e-4)
    wide = {name: np.pad(images, ((0, 0), (0, 0), (7, 7), (0, 0))) for name, images in clip.views.items()}
    assert np.allclose(estimator.estimate(Clip(wide, clip.task)).values, made.values, atol=1e-4)
    with pytest.raises(DataError, match="wrist"):
        estimator.estimate(Clip({"front": clip.views["front"]}, clip.task))
    assert load_judge(trained).source == made.source


def test_a_resumed_training_ends_with_the_same_weights(settings, trained, tmp_path):
    again = replace(settings, out=tmp_path / "again.safetensors")
    assert train_imagetext(again, stop_after=4) is None
    assert train_imagetext(again) == again.out
    one, two = (checkpoint.read(p, "imagetext")[1] for p in (trained, again.out))
    assert len(one) == len(two) and all(torch.equal(one[name], two[name]) for name in one)
    other = train_imagetext(replace(settings, out=tmp_path / "other.safetensors", seed=1))
    three = checkpoint.read(other or "", "imagetext")[1]
    assert not torch.equal(one["imagetext.image.0.weight"], three["imagetext.image.0.weight"])


def test_data_of_no_simulator_is_refused(settings, episodes, tmp_path):
    with pytest.raises(DataError, match="vgps collect"):
        train_imagetext(replace(settings, data=episodes, out=tmp_path / "x.safetensors"))
    with pytest.raises(DataError, match="lower ends"):
        train_imagetext(replace(settings, ends=17, out=tmp_path / "x.safetensors"))


@pytest.mark.parametrize("damage", ["truncated", "another kind", "no fit", "another width"])
def test_a_checkpoint_that_must_not_be_used_is_refused(trained, tmp_path, damage):
    path = tmp_path / "copy.safetensors"
    for suffix in (".safetensors", ".json"):
        shutil.copy(trained.with_suffix(suffix), path.with_suffix(suffix))
    card = path.with_suffix(".json")
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "another kind":
        path = checkpoint.find("progress")
    elif damage == "no fit":
        card.write_text(card.read_text().replace('"threshold"', '"thrashold"'))
    else:
        card.write_text(card.read_text().replace('"found": 8', '"found": 9'))
    with pytest.raises(CheckpointError, match=r"weights|kind|threshold|architecture\.imagetext"):
        checkpoint.load_imagetext(path)
