"""ICVF's loss and network against numpy in double precision, and what learner and batch promise."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from closeness import near
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf
from scipy.stats import norm
from torch import nn

from vgps_models.critics.heads import HEADS, MARGIN
from vgps_models.errors import SpecError, UnknownNameError
from vgps_models.icvf import ICVF, Batch, ICVFConfig, MultilinearConfig, PairReader
from vgps_models.icvf.network import MultilinearValue
from vgps_models.training.provenance import Fingerprint
from vgps_models.training.resume import Resume
from vgps_models.video.sampling import Sampler, Sampling

D, GAMMA, NEVER, BINS = 5, 0.9, -10.0, 10
CASES = [(head, intents) for head in HEADS for intents in (True, False)]


def make_learner(head: str = "scalar", *, seed: int = 0, encoder: nn.Module | None = None, **settings) -> ICVF:
    """A small learner whose target is another network than the one that learns."""
    intents, heads = settings.pop("intents", True), settings.pop("heads", 2)
    model = MultilinearConfig(
        features=D, heads=heads, widths=(8, 6), form=40, head=head, low=NEVER, bins=BINS, intents=intents
    )  # fmt: skip
    torch.manual_seed(seed)
    learner = ICVF(encoder or nn.Identity(), model, ICVFConfig(**({"gamma": GAMMA} | settings)))
    with torch.no_grad():
        for net in (learner.net, learner.target):  # layers that begin at 0 would hide mistakes
            for parameter in net.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    return learner


def make_batch(size: int = 24, seed: int = 0) -> Batch:
    each, rows = Sampler(np.array([0, 4, 9, 12]), Sampling(batch=size, seed=seed)).draw(0).distinct()
    return Batch.of(torch.randn(len(each), D, generator=torch.Generator().manual_seed(seed)), rows)


class Numpy:
    """The network as the paper writes it, one head and one row at a time, from its weights alone."""

    def __init__(self, net: MultilinearValue) -> None:
        self.config = net.config
        self.weights = {k: v.detach().double().numpy().copy() for k, v in net.named_parameters()}

    def linear(self, name: str, e: int, x: np.ndarray) -> np.ndarray:
        return x @ self.weights[f"{name}.weight"][e] + self.weights[f"{name}.bias"][e, 0]

    def mlp(self, name: str, e: int, x: np.ndarray, layers: int) -> np.ndarray:
        for layer in range(layers):
            x = normal(self.linear(f"{name}.layers.{layer}", e, x))
            x = x * (1 + erf(x / np.sqrt(2))) / 2  # GELU
        return x

    def tower(self, name: str, e: int, x: np.ndarray) -> np.ndarray:
        x = normal(x)
        x = x + self.linear(f"{name}.last", e, self.mlp(f"{name}.mlp", e, x, len(self.config.widths) - 1))
        phase = x @ self.weights[f"{name}.frequencies"][e]
        return np.sqrt(2) * np.concatenate([np.cos(phase), np.sin(phase)])

    def outputs(self, e: int, s: np.ndarray, goal: np.ndarray, z: np.ndarray) -> np.ndarray:
        phi, psi, t = self.tower("phi", e, s), self.tower("psi", e, goal), np.ones(self.config.widths[-1])
        if self.config.intents:
            wish = self.tower("psi", e, z)
            t = 1 + self.linear("t.last", e, self.mlp("t.mlp", e, wish, len(self.config.widths)))
        forms = 1 if self.config.head == "scalar" else self.config.bins + 2 * MARGIN
        rank = self.config.form // forms
        left, right = (t * phi) @ self.weights["a"][e], (t * psi) @ self.weights["b"][e]
        parts = [slice(k * rank, (k + 1) * rank) for k in range(forms)]
        return np.array([left[part] @ right[part] for part in parts]) / np.sqrt(rank)

    def value(self, e: int, s: np.ndarray, goal: np.ndarray, z: np.ndarray) -> float:
        out = self.outputs(e, s, goal, z)
        if self.config.head == "scalar":
            return float(NEVER * (1 - out[0]))
        return float(np.exp(out) @ centres() / np.exp(out).sum())

    def misfit(self, e: int, s: np.ndarray, goal: np.ndarray, z: np.ndarray, q: float) -> float:
        if self.config.head == "scalar":
            return (q - self.value(e, s, goal, z)) ** 2
        out = self.outputs(e, s, goal, z)
        mass = np.diff(norm.cdf(np.append(centres() - 0.5, centres()[-1] + 0.5), q, 0.75))  # bins are 1 wide
        return float(mass / mass.sum() @ (np.log(np.exp(out).sum()) - out))


def normal(x: np.ndarray) -> np.ndarray:
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5)


def centres() -> np.ndarray:
    """Of the bins of width 1 from -10 to 0, and of those beside them."""
    return np.arange(NEVER - MARGIN, MARGIN) + 0.5


def by_hand(learner: ICVF, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Targets (E, B) and advantages (B,), a row at a time."""
    target, x = Numpy(learner.target), batch.observations.double().numpy()
    q, advantage = np.zeros((2, len(batch))), np.zeros(len(batch))
    rows = zip(batch.s.tolist(), batch.s_next.tolist(), batch.goal.tolist(), batch.intent.tolist(), strict=True)
    for b, (s, t, g, z) in enumerate(rows):
        z = z if learner.net.config.intents else g
        for e in range(2):
            q[e, b] = 0 if s == g else np.clip(-1 + GAMMA * target.value(e, x[t], x[g], x[z]), NEVER, 0)
        ahead = 0 if s == z else -1 + GAMMA * min(target.value(e, x[t], x[z], x[z]) for e in range(2))
        here = sum(target.value(e, x[s], x[z], x[z]) for e in range(2)) / 2
        advantage[b] = ahead - here
    return q, advantage


def loss_by_hand(net: Numpy, batch: Batch, q: np.ndarray, weight: np.ndarray) -> float:
    x, total = batch.observations.double().numpy(), 0.0
    for b, (s, g, z) in enumerate(zip(batch.s.tolist(), batch.goal.tolist(), batch.intent.tolist(), strict=True)):
        z = z if net.config.intents else g
        total += sum(weight[b] * net.misfit(e, x[s], x[g], x[z], q[e, b]) for e in range(2))
    return total / q.size


@pytest.mark.parametrize(("head", "intents"), CASES)
def test_loss_and_gradient_are_those_computed_by_hand(head, intents):
    """The gradient by central differences of numpy's loss, at some weights of every layer, targets held fixed."""
    learner, batch = make_learner(head, intents=intents), make_batch()
    q, advantage = by_hand(learner, batch)
    assert (q == 0).any() and (q < -1).any() and (advantage < 0).any() and (advantage > 0).any()
    if intents:
        for mine, theirs in zip(learner.look_ahead(batch), (q, advantage), strict=True):
            assert near(mine, theirs, scale=-NEVER)
    weight = np.where(advantage < 0, 0.1, 0.9)  # tau is .9
    loss, numbers = learner.loss(batch)
    net = Numpy(learner.net)
    assert near(loss, loss_by_hand(net, batch, q, weight))
    assert near(numbers["q"], q.mean())
    loss.backward()
    random, tiny = np.random.default_rng(0), 1e-5
    for name, parameter in learner.net.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0
        largest = parameter.grad.abs().max().item()
        for i in random.choice(parameter.numel(), 3, replace=False):
            at = np.unravel_index(i, parameter.shape)
            found = 0.0
            for sign in (1, -1):
                moved = copy.deepcopy(net)
                moved.weights[name][at] += sign * tiny
                found += sign * loss_by_hand(moved, batch, q, weight) / (2 * tiny)
            assert near(parameter.grad[at], found, roundings=4000, scale=largest), (name, at)


@pytest.mark.parametrize(("head", "intents"), CASES)
def test_towards_observed_returns_it_is_the_plain_misfit(head, intents):
    learner, batch = make_learner(head, intents=intents), make_batch()
    steps = torch.randint(-1, 5, (len(batch),), generator=torch.Generator().manual_seed(1))
    observed = learner.config.worth(steps)
    known = [NEVER if d < 0 else -sum(GAMMA**k for k in range(d)) for d in steps.tolist()]
    assert near(observed, known)
    loss, numbers = learner.observed_loss(batch, learner.net.encode(batch.observations), observed)
    q = np.broadcast_to(observed.double().numpy(), (2, len(batch)))
    hand = loss_by_hand(Numpy(learner.net), batch, q, np.ones(len(batch)))
    assert near(loss, hand) and near(numbers["q"], q.mean())


@pytest.mark.parametrize("head", HEADS)
def test_a_reader_of_pairs_learns_what_was_observed_and_teaches_the_encoder(head):
    """How far one number lies above another, by an encoder that begins by telling all numbers' sum alone."""
    torch.manual_seed(0)
    encoder = nn.Linear(D, D)
    nn.init.constant_(encoder.weight, 0.1)
    reader = PairReader(MultilinearConfig(features=D, head=head, low=NEVER, bins=BINS))
    optimiser = torch.optim.Adam([*encoder.parameters(), *reader.parameters()], 3e-3)
    errors = []
    for _ in range(300):
        x = torch.rand(64, D)
        s, goal = torch.randint(0, 64, (2, 256))
        steps = (10 * (x[goal, 0] - x[s, 0])).round().long().clamp_min(-1)
        observed = ICVFConfig(gamma=GAMMA).worth(steps)
        features = encoder(x)
        optimiser.zero_grad()
        reader.loss(features, s, goal, observed).backward()
        assert encoder.weight.grad is not None and encoder.weight.grad.abs().sum() > 0
        optimiser.step()
        errors.append((reader.head.value(reader(features, s, goal)) - observed).detach().square().mean().item())
    assert np.mean(errors[-20:]) < 2.0 < 10.0 < errors[0]


@pytest.mark.parametrize("head", HEADS)
def test_targets_and_weights_see_the_target_network_alone(head):
    learner, batch = make_learner(head), make_batch()
    before = learner.look_ahead(batch)
    assert all(not part.requires_grad and part.grad_fn is None for part in before)
    learner.loss(batch)[0].backward()
    assert all(parameter.grad is None for parameter in learner.target.parameters())
    with torch.no_grad():
        for parameter in learner.net.parameters():
            parameter.add_(torch.randn_like(parameter))
    after = learner.look_ahead(batch)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    with torch.no_grad():
        for parameter in learner.target.parameters():
            parameter.add_(torch.randn_like(parameter))
    moved = learner.look_ahead(batch)
    assert not any(torch.allclose(a, b) for a, b in zip(before, moved, strict=True))


@pytest.mark.parametrize("head", HEADS)
@settings(max_examples=20)
@given(size=st.floats(-200, 200), seed=st.integers(0, 50))
def test_targets_are_returns_that_exist_whatever_the_target_network_says(head, size, seed):
    learner, batch = make_learner(head), make_batch(seed=seed)
    with torch.no_grad():
        learner.target.a.mul_(size)
    q, advantage = learner.look_ahead(batch)
    assert ((q >= NEVER) & (q <= 0)).all() and torch.isfinite(advantage).all()
    assert (q[:, batch.at_goal] == 0).all() and batch.at_goal.any()


def test_the_clamp_has_something_to_do():
    learner, batch = make_learner(), make_batch()
    with torch.no_grad():
        learner.target.a.mul_(200)
    q, _ = learner.look_ahead(batch)
    assert (q == NEVER).any()


@pytest.mark.parametrize(("head", "intents"), CASES)
def test_states_that_come_often_are_one_state(head, intents):
    """Every frame a row of its own gives the same loss and gradient as distinct states and indices."""
    learner, batch = make_learner(head, intents=intents), make_batch()
    indices = torch.cat([batch.s, batch.s_next, batch.goal, batch.intent])
    s, s_next, goal, intent = torch.arange(len(indices)).split(len(batch))
    spread = Batch(batch.observations[indices], s, s_next, goal, intent, batch.at_goal, batch.at_intent)
    losses = [learner.loss(b)[0] for b in (batch, spread)]
    assert near(*losses)
    grads = [torch.autograd.grad(loss, list(learner.net.parameters())) for loss in losses]
    assert all(near(a, b) for a, b in zip(*grads, strict=True))


class Counting(nn.Module):
    """An encoder that keeps the number of rows of every call."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm, self.drop = nn.Linear(D, D), nn.BatchNorm1d(D), nn.Dropout(0.5)
        self.rows: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.rows.append(len(x))
        return self.drop(self.norm(self.layer(x)))


def test_each_encoder_runs_once_on_the_distinct_states():
    learner, batch = make_learner(encoder=Counting()), make_batch(200)
    learner.loss(batch)
    assert learner.net.encoder.rows == learner.target.encoder.rows == [12]


def test_the_target_drops_nothing_out_and_follows_buffers_too():
    learner, batch = make_learner(encoder=Counting(), polyak=0.25), make_batch()
    learner.train()
    first, second = (learner.look_ahead(batch)[0] for _ in range(2))
    assert torch.equal(first, second) and learner.net.training
    learner.net.encode(batch.observations)
    ours, theirs = dict(learner.net.named_buffers()), dict(learner.target.named_buffers())
    assert not torch.equal(ours["encoder.norm.running_mean"], theirs["encoder.norm.running_mean"])
    learner.after_step()
    assert len(ours) == 3 and all(torch.equal(ours[name], theirs[name]) for name in ours)


@settings(max_examples=20)
@given(rate=st.floats(0.001, 1.0))
def test_the_target_follows_by_its_rate(rate):
    learner = make_learner(polyak=rate)
    before, goal = copy.deepcopy(learner.target), copy.deepcopy(learner.net)
    learner.after_step()
    now = learner.target.parameters()
    for a, b, c in zip(before.parameters(), goal.parameters(), now, strict=True):
        assert near(c, a + rate * (b - a), roundings=8, scale=float(b.detach().abs().max()))
    assert all(torch.equal(a, b) for a, b in zip(goal.parameters(), learner.net.parameters(), strict=True))


class Trainer:
    def __init__(self, head: str, seed: int) -> None:
        self.learner = make_learner(head, seed=seed)
        self.modules = {"learner": self.learner}
        self.optimiser = torch.optim.Adam(self.learner.net.parameters(), 1e-2)

    def step(self, step: int) -> dict[str, torch.Tensor]:
        loss, numbers = self.learner.loss(make_batch(seed=step))
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.learner.after_step()
        return numbers


@pytest.mark.parametrize("head", HEADS)
def test_an_interrupted_training_goes_on_to_the_same_bits(head, tmp_path):
    whole, begun, resumed = Trainer(head, 0), Trainer(head, 0), Trainer(head, 1)
    numbers = [whole.step(i) for i in range(6)]
    for i in range(3):
        begun.step(i)
    state = Resume(tmp_path / "it.safetensors", Fingerprint("same"))
    state.save(begun, 3)
    assert state.load(resumed) == 3
    assert [resumed.step(i)["loss"] for i in range(3, 6)] == [told["loss"] for told in numbers[3:]]
    ours, theirs = resumed.learner.state_dict(), whole.learner.state_dict()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


@pytest.mark.parametrize(("head", "intents"), CASES)
def test_heads_share_no_layer(head, intents):
    learner, batch = make_learner(head, intents=intents, heads=3), make_batch()
    learner.net(batch.observations, batch.s, batch.goal, batch.intent)[1].sum().backward()
    for name, parameter in learner.net.named_parameters():
        grad = parameter.grad
        assert grad is not None and grad.shape[0] == 3, name
        assert grad[1].abs().sum() > 0 and grad[[0, 2]].abs().sum() == 0, name


def test_without_intents_nothing_depends_on_them():
    learner, batch = make_learner(intents=False), make_batch()
    other = Batch(**(vars(batch) | {"intent": batch.intent.flip(0), "at_intent": batch.at_intent.flip(0)}))
    assert torch.equal(learner.loss(batch)[0], learner.loss(other)[0])
    with_them = make_learner()
    assert not torch.allclose(with_them.loss(batch)[0], with_them.loss(other)[0])


@pytest.mark.parametrize("head", HEADS)
def test_value_is_the_mean_over_heads_of_what_wanting_z_is_worth(head):
    net, x = make_learner(head).net, torch.randn(7, D)
    mean, spread = net.value(x, x[-1:])
    numpy, rows = Numpy(net), x.double().numpy()
    v = np.array([[numpy.value(e, s, rows[-1], rows[-1]) for s in rows] for e in range(2)])
    size = float(np.abs(v).max())
    assert near(mean, v.mean(0)) and near(spread, v.std(0, ddof=1), scale=size)
    for a, b in zip(net.value(x, x[-1:].expand(7, -1)), (mean, spread), strict=True):
        assert near(a, b, scale=size)
    assert (make_learner(head, heads=1).net.value(x, x)[1] == 0).all()


def test_what_does_not_fit_is_refused():
    net, batch = make_learner().net, make_batch()
    with pytest.raises(SpecError, match="3 intents for 7 states"):
        net.value(torch.randn(7, D), torch.randn(3, D))
    with pytest.raises(SpecError, match=r"features of shape \(4, 6\)"):
        net.encode(torch.randn(4, 6))
    with pytest.raises(SpecError, match="never is worth"):
        ICVF(nn.Identity(), MultilinearConfig(features=D, low=-100.0), ICVFConfig(gamma=0.9))
    with pytest.raises(SpecError, match="form is 9"):
        MultilinearValue(nn.Identity(), MultilinearConfig(form=9, head="hl_gauss"))
    with pytest.raises(SpecError, match="at least one layer"):
        MultilinearValue(nn.Identity(), MultilinearConfig(widths=()))
    with pytest.raises(SpecError, match="of even width"):
        MultilinearValue(nn.Identity(), MultilinearConfig(widths=(8, 7)))
    with pytest.raises(UnknownNameError, match="hl_gauss, scalar"):
        MultilinearValue(nn.Identity(), MultilinearConfig(head="softmax"))
    with pytest.raises(SpecError, match=r"shape \(B,\)"):
        Batch(**(vars(batch) | {"goal": batch.goal[:-1]}))


@pytest.mark.parametrize("setting", [{"gamma": 1.0}, {"expectile": 0.4}, {"expectile": 1.0}, {"polyak": 0.0}])
def test_senseless_settings_are_refused(setting):
    with pytest.raises(SpecError, match="expected 0 < gamma < 1"):
        ICVFConfig(**setting)


def test_the_architecture_survives_json():
    config = MultilinearConfig(widths=(32, 16), head="hl_gauss", intents=False)
    assert MultilinearConfig.from_json(config.to_json()) == config
