"""The critic's trainer: what it learns from, what it refuses, what it measures, and which critic comes out."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vgps_models import checkpoint
from vgps_models.critics import ALGORITHMS, CriticConfig
from vgps_models.critics.ota import OTAConfig
from vgps_models.data import EpisodeStore
from vgps_models.data.sampling import succeeded, transitions
from vgps_models.errors import DataError, SpecError, UnknownNameError
from vgps_models.ranking import ranking
from vgps_models.training import critic as critic_module
from vgps_models.training.critic import CriticTraining, Trainer, split, train_critic, uniform_chunks
from vgps_models.training.critic_measures import BINS, calibration
from vgps_models.training.frames import load_frames
from vgps_models.training.sample_cache import policy_samples


@pytest.fixture
def config(policy_file, episodes, cache, tmp_path):
    return CriticTraining(
        data=episodes, policy=str(policy_file), out=tmp_path / "critic.safetensors", cache=cache, samples=4,
        steps=2, batch=16, wrong_batch=8, threads=1, held_out=0.4, model=CriticConfig(width=32, words=8),
    )  # fmt: skip


@pytest.fixture(scope="module")
def columns(episodes):
    return EpisodeStore(episodes).columns()


@pytest.fixture
def trainer(config):
    """trainer(setting=value, ...): one that has not taken a step."""
    policy, card = checkpoint.load_policy(config.policy), checkpoint.read_card(config.policy)
    frames = load_frames(config.data, policy.perception, config.cache)
    samples = policy_samples(policy, card.weights_sha256, frames, config.samples, config.cache)

    def make(**changes) -> Trainer:
        changed = replace(config, **changes)
        width = 7 * (changed.horizon or 4)
        model = replace(changed.model, features=policy.perception.config.features, chunk=width)
        return Trainer(replace(changed, model=model), frames, samples, policy.normaliser)

    return make


# What it learns from


def test_a_fraction_is_part_of_a_larger_one_and_leaves_the_held_out_episodes_alone(config, columns):
    parts = [split(columns, replace(config, held_out=0.1, fraction=f)) for f in (0.5, 0.75, 1.0)]
    for (small, test), (large, same) in pairwise(parts):
        assert (small <= large).all() and small.sum() < large.sum() and (test == same).all()
    train, test = parts[-1]
    assert not (train & test).any() and (train | test).all()
    for mask in (*parts[0], *parts[1]):
        for episode in range(len(columns.bounds) - 1):  # whole episodes only
            assert len(set(mask[columns.episode == episode].tolist())) == 1


def test_success_only_leaves_the_failures_out(config, columns):
    train, _ = split(columns, replace(config, success_only=True))
    assert train.any() and succeeded(columns)[columns.episode[train]].all()


def test_data_without_successes_or_without_failures_is_refused(config, columns):
    failed = replace(columns, success=np.zeros_like(columns.success))
    with pytest.raises(DataError, match=r"of 6 training episodes 0 succeed.*vgps collect --quality mixed"):
        split(failed, config)
    with pytest.raises(DataError, match="0 succeed"):
        split(failed, replace(config, success_only=True))
    won = replace(columns, success=columns.done.copy())
    with pytest.raises(DataError, match=r"6 succeed: .*never sees a failure.*--success-only"):
        split(won, config)
    assert split(won, replace(config, success_only=True))[0].any()
    for fraction in (0.0, 1.5):
        with pytest.raises(DataError, match="fraction"):
            split(columns, replace(config, fraction=fraction))


def test_it_is_refused_before_any_work_is_done(config, columns, monkeypatch):
    monkeypatch.setattr(EpisodeStore, "columns", lambda _: replace(columns, success=np.zeros_like(columns.success)))
    monkeypatch.setattr(critic_module, "gather", None)
    with pytest.raises(DataError, match="0 succeed"):
        train_critic(config)


@pytest.mark.parametrize("horizon", [0, 1, 3])
def test_batches_hold_transitions_of_the_actions_that_are_read(trainer, columns, horizon):
    made = trainer(horizon=horizon, algorithm="ota", ota=OTAConfig(option=2))
    steps = horizon or 4
    batch = made.batch(np.random.default_rng(0), torch.Generator().manual_seed(0))
    assert batch.chunk.shape == (16, 7 * steps) and batch.uniform_chunks.shape == (16, 0, 7 * steps)
    chunk, option = transitions(columns, steps, 0.98), transitions(columns, 2 * steps, 0.98)
    rows = [np.flatnonzero((made.frames.features == f.numpy()).all(1))[0] for f in batch.features]
    assert np.array_equal(batch.reward, chunk.reward[rows]) and np.array_equal(batch.discount, chunk.discount[rows])
    assert np.array_equal(batch.next_features, made.frames.features[chunk.following[rows]])
    assert np.array_equal(batch.option_reward, option.reward[rows])
    assert np.array_equal(batch.option_features, made.frames.features[option.following[rows]])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_batches_hold_as_much_as_the_algorithm_needs(trainer, algorithm):
    made = trainer(algorithm=algorithm)
    batch = made.batch(np.random.default_rng(0), torch.Generator().manual_seed(0))
    needs = made.config.loss.needs
    shapes = [getattr(batch, name).shape[1] for name in ("uniform_chunks", "policy_chunks", "next_chunks")]
    assert shapes == [needs.uniform, needs.policy, needs.following]
    assert len(batch.option_reward) == (16 if needs.option else 0) and len(batch.wrong_chunk) == 8


@given(st.integers(1, 4), st.integers(0, 3), st.integers(1, 4), st.integers(0, 1000))
def test_uniform_chunks_are_executable(batch, count, steps, seed):
    chunks = uniform_chunks(batch, count, 7 * steps, torch.Generator().manual_seed(seed)).unflatten(-1, (steps, 7))
    assert chunks.shape == (batch, count, steps, 7)
    assert (chunks.abs() <= 1).all() and (chunks[..., 6].abs() == 1).all()


# Which critic comes out


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("head", ["scalar", "hl_gauss"])
def test_the_card_says_algorithm_and_head_and_the_critic_loads(config, algorithm, head, policy_file, observe):
    made = train_critic(replace(config, algorithm=algorithm, model=replace(config.model, head=head)))
    assert made is not None
    card = checkpoint.read_card(made)
    assert (card.settings["algorithm"], card.architecture["critic"]["head"]) == (algorithm, head)
    assert set(card.settings["loss"]) == {f.name for f in fields(ALGORITHMS[algorithm][0])}
    assert not set(ALGORITHMS) & set(card.settings)  # of the algorithms only the one that was used
    scorer = checkpoint.load_critic(made)
    candidates = checkpoint.load_policy(policy_file).sample(observe(0), 3).chunks
    mean, std = scorer.score(scorer.encode(observe(0)), candidates)
    assert np.isfinite(mean).all() and (std > 0).all() and (mean < 0).all()


def test_a_first_action_critic_looks_at_the_first_action_alone(config, policy_file, observe):
    made = train_critic(replace(config, horizon=1))
    assert made is not None
    scorer = checkpoint.load_critic(made)
    assert scorer.steps == 1 and checkpoint.read_card(made).architecture["critic"]["chunk"] == 7
    candidates = checkpoint.load_policy(policy_file).sample(observe(0), 4).chunks
    features = scorer.encode(observe(0))
    mean, _ = scorer.score(features, candidates)
    later, first = candidates.copy(), candidates.copy()
    later[:, 1:, :3] *= -1
    first[:, 0, :3] *= -1
    assert np.array_equal(scorer.score(features, later)[0], mean)
    assert not np.allclose(scorer.score(features, first)[0], mean)


def test_one_head_has_no_spread(config, policy_file, observe):
    made = train_critic(replace(config, model=replace(config.model, heads=1)))
    assert made is not None
    scorer = checkpoint.load_critic(made)
    _, std = scorer.score(scorer.encode(observe(0)), checkpoint.load_policy(policy_file).sample(observe(0), 4).chunks)
    assert np.array_equal(std, np.zeros(4))


def test_a_card_from_before_there_were_heads_means_scalar_ones(critic_file, tmp_path, observe, policy_file):
    for suffix in (".safetensors", ".json"):
        (tmp_path / f"old{suffix}").write_bytes(critic_file.with_suffix(suffix).read_bytes())
    card = json.loads((tmp_path / "old.json").read_text(encoding="utf-8"))
    for name in ("head", "low", "bins"):
        del card["architecture"]["critic"][name]
    (tmp_path / "old.json").write_text(json.dumps(card), encoding="utf-8")
    candidates = checkpoint.load_policy(policy_file).sample(observe(0), 4).chunks
    scores = []
    for path in (critic_file, tmp_path / "old.safetensors"):
        scorer = checkpoint.load_critic(path)
        scores.append(scorer.score(scorer.encode(observe(0)), candidates)[0])
    assert np.array_equal(*scores)


def test_what_does_not_exist_is_refused_by_name(config):
    with pytest.raises(UnknownNameError, match="calql, cql, iql, ota"):
        train_critic(replace(config, algorithm="dqn"))
    with pytest.raises(UnknownNameError, match="hl_gauss, scalar"):
        train_critic(replace(config, model=replace(config.model, head="quantile")))
    with pytest.raises(SpecError, match="1 to 4"):
        train_critic(replace(config, horizon=5))


def test_every_algorithm_has_its_settings_in_the_training():
    for name, (settings, _) in ALGORITHMS.items():
        assert type(CriticTraining(algorithm=name).loss) is settings


# What it measures


def test_the_card_and_a_file_beside_it_tell_how_good_it_is(config):
    made = train_critic(config)
    assert made is not None
    metrics = checkpoint.read_card(made).metrics
    assert 0 <= metrics["held_out_auc"] <= 1 and 0 <= metrics["held_out_language"] <= 1
    told = json.loads(made.with_suffix(".calibration.json").read_text(encoding="utf-8"))
    assert metrics["held_out_calibration_error"] == told["error"] and len(told["bins"]) == BINS
    counts = [part["count"] for row in told["bins"] for part in (row["successes"], row["failures"])]
    assert sum(counts) == told["frames"] > 0


def test_language_is_how_often_the_right_words_are_worth_more(trainer):
    """A critic that reads the sentence alone, and likes one: it is right where that one was followed."""
    made = trainer()
    liked = made.sentences[0]
    made.net.encode = lambda features, sentence: (sentence @ liked).expand(4, -1)[..., None]
    made.net.score = lambda encoded, chunks: encoded.expand(-1, -1, chunks.shape[1])
    told, _ = made.measure()
    rows = np.flatnonzero(made.test)
    followed = made.frames.columns.instruction[rows] == 0
    assert told["held_out_language"] == pytest.approx(followed.mean())


def test_ranking_is_the_probability_of_the_right_order():
    assert ranking(np.array([3.0, 2.0, 1.0]), np.array([True, True, False])) == 1.0
    assert ranking(np.array([1.0, 1.0]), np.array([True, False])) == 0.5
    assert ranking(np.array([1.0, 2.0]), np.array([True, True])) == 0.5


def test_a_critic_that_knows_the_return_is_calibrated_and_one_that_does_not_is_off_by_as_much(columns):
    rows = np.arange(len(columns))
    truth = transitions(columns, 1, 0.98).mc_return.astype(float)
    told = calibration(truth, columns, rows, 0.98)
    assert told["error"] == pytest.approx(0, abs=1e-5) and told["bias"] == pytest.approx(0, abs=1e-5)
    won = succeeded(columns)[columns.episode]
    assert told["bins"][0]["failures"]["count"] == (~won).sum() and told["bins"][-1]["failures"]["count"] == 0
    off = calibration(truth - 3.0, columns, rows, 0.98)
    assert off["error"] == pytest.approx(3) and off["bias"] == pytest.approx(-3)


def test_a_failures_return_is_told_by_its_bounds(columns):
    """The last frame of a failure: -1 for its action, and at best success on the next step; at worst never."""
    won = succeeded(columns)[columns.episode]
    last = np.array([b - 1 for b in columns.bounds[1:] if not won[b - 1]])
    told = calibration(np.full(len(last), -49.0), columns, last, 0.98)
    failures = told["bins"][0]["failures"]
    assert failures["count"] == len(last) and failures["at_most"] == pytest.approx(-1)
    assert failures["never"] == pytest.approx(-50) and failures["predicted"] == -49


# Going on from a critic, for some tasks


def test_most_of_a_step_is_of_the_tasks_in_focus(trainer):
    made = trainer(focus=("put_carrot_on_plate",), focused=0.75, batch=32)
    tasks = np.array(made.frames.columns.instruction_tasks)[made.frames.columns.instruction]
    for seed in range(5):
        rows = made._rows(np.random.default_rng(seed))
        assert len(rows) == 32 and set(rows.tolist()) <= set(made.train.tolist())
        assert (tasks[rows] == "put_carrot_on_plate").sum() == 24
    with pytest.raises(UnknownNameError, match="put_spoon_on_towel"):
        trainer(focus=("fold_the_shirt",))


def test_it_begins_where_another_critic_ended(config, trainer, tmp_path):
    first = train_critic(config)
    assert first is not None
    began = checkpoint.load_critic(first)
    made = trainer(start=str(first), model=replace(config.model, low=config.loss.never))
    made.learner.begin(began.net)
    for name, weight in began.net.state_dict().items():
        assert torch.equal(made.net.state_dict()[name], weight), name
        assert torch.equal(made.learner.target.state_dict()[name], weight), name
    again = train_critic(replace(config, start=str(first), steps=4, out=tmp_path / "again.safetensors"))
    assert again is not None and checkpoint.read_card(again).settings["start"] == str(first)
    moved = [not torch.equal(a, b) for a, b in zip(
        began.net.parameters(), checkpoint.load_critic(again).net.parameters(), strict=True)]  # fmt: skip
    assert all(moved)
    with pytest.raises(SpecError, match="other heads"):
        train_critic(replace(config, start=str(first), model=replace(config.model, width=16), out=tmp_path / "x.st"))
