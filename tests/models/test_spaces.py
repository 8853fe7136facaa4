"""The action that is trained on is the one that is scored and the one that is executed, whatever the spec."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vgps_models import checkpoint
from vgps_models.critics.network import Critic, CriticConfig, QEnsemble
from vgps_models.data import EpisodeStore
from vgps_models.data.sampling import action_chunks
from vgps_models.errors import SpecError
from vgps_models.policies import make_net
from vgps_models.policies.chunk import ChunkPolicy
from vgps_models.spaces import ActionSpec, Normaliser
from vgps_models.training.frames import chunks

SAME = 1e-6  # metres, radians, opening
SPECS = st.builds(
    ActionSpec,
    horizon=st.integers(1, 6),
    control_hz=st.sampled_from([5.0, 10.0, 50.0]),
    max_translation=st.floats(1e-3, 0.5),
    max_rotation=st.floats(1e-2, 3.0),
)


@pytest.fixture(scope="module")
def columns(episodes):
    return EpisodeStore(episodes).columns()


@pytest.fixture(scope="module")
def perception(policy_file):
    return checkpoint.load_policy(policy_file).perception


@cache
def policy_net(features: int, horizon: int):
    return make_net({"name": "flow", "width": 16, "depth": 1, "words": 4, "features": features, "chunk": 7 * horizon})


@cache
def critic_net(features: int, horizon: int) -> QEnsemble:
    return QEnsemble(CriticConfig(features=features, chunk=7 * horizon, heads=1, width=8, words=4))


@st.composite
def recorded(draw, count: int) -> np.ndarray:
    """Actions (count, 7) as somebody may have recorded them: too long, in a plane, all alike, the gripper half open."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    size = np.array(draw(st.lists(st.sampled_from([0.0, 1e-5, 0.01, 0.3, 2.0]), min_size=6, max_size=6)))
    return np.concatenate([random.normal(size=(count, 6)) * size, random.random((count, 1))], axis=1)


@given(spec=SPECS, data=st.data())
def test_trained_scored_and_executed_are_the_same_action(columns, perception, spec, data):
    actions = data.draw(recorded(len(columns))).astype(np.float32)
    columns = replace(columns, actions=actions)
    normaliser = Normaliser.from_actions(actions.astype(np.float64), spec)
    features = perception.config.features
    learned = chunks(columns, spec, normaliser)  # what networks are trained on
    wanted = spec.clip(action_chunks(columns, spec.horizon).astype(np.float64))  # what was meant

    policy = ChunkPolicy(perception, policy_net(features, spec.horizon), spec, normaliser)
    executed = policy.metric(learned)  # a policy that has learned it exactly
    assert np.abs(executed - wanted).max() < SAME
    assert np.abs(spec.clip(executed) - executed).max() < SAME  # the arm shortens nothing more

    critic = Critic(perception, critic_net(features, spec.horizon), spec, normaliser)
    some = executed[:8]
    read: list[torch.Tensor] = []
    score = critic.net.score
    critic.net.score = lambda encoded, given: (read.append(given), score(encoded, given))[1]  # type: ignore[method-assign]
    try:
        critic.score(torch.zeros(1, 1, 8), some)
    finally:
        del critic.net.score
    scored = normaliser.denormalise(read[0][0].double().numpy().reshape(some.shape))
    assert np.abs(scored - some).max() < SAME


@given(spec=SPECS, data=st.data())
def test_a_normaliser_gives_back_what_it_took_also_through_its_file(spec, data):
    actions = data.draw(recorded(20))
    normaliser = Normaliser.from_json(Normaliser.from_actions(actions, spec).to_json())
    beyond = 3 * actions  # outside of its bounds as well
    assert np.abs(normaliser.denormalise(normaliser.normalise(beyond)) - beyond).max() < 1e-9
    assert ActionSpec.from_json(spec.to_json()) == spec
    inside = normaliser.normalise(actions)[:, :6]
    assert (np.abs(inside) <= 1 + 1e-9).all() or (np.ptp(actions[:, :6], axis=0) < 1e-4).any()


@given(spec=SPECS, data=st.data())
def test_clipping_shortens_keeps_directions_and_is_done_once(spec, data):
    actions = data.draw(recorded(20))
    clipped = spec.clip(actions)
    for part, limit in ((slice(0, 3), spec.max_translation), (slice(3, 6), spec.max_rotation)):
        before, after = (np.linalg.norm(a[:, part], axis=1) for a in (actions, clipped))
        assert (after <= limit * (1 + 1e-9)).all() and np.allclose(after, np.minimum(before, limit), atol=1e-9)
        along = (actions[:, part] * clipped[:, part]).sum(1)
        assert np.allclose(along, before * after, rtol=1e-9, atol=1e-12)
    assert set(clipped[:, 6].tolist()) <= {0.0, 1.0}
    assert np.allclose(spec.clip(clipped), clipped, rtol=0, atol=1e-12)


@pytest.mark.parametrize("wrong", [{"low": (0.0,), "high": (0.0, 1.0)}, {"low": (1.0,), "high": (1.0,)},
                                   {"low": (float("nan"),), "high": (1.0,)}])  # fmt: skip
def test_bounds_that_hold_nothing_are_refused(wrong):
    with pytest.raises(SpecError, match="bounds"):
        Normaliser(**wrong)


def test_specs_and_normalisers_that_differ_are_named():
    with pytest.raises(SpecError, match=r"horizon: 4 != 8"):
        ActionSpec().require_equal(ActionSpec(horizon=8), mine="policy", theirs="critic")
    one, other = Normaliser((0.0,), (1.0,)), Normaliser((0.0,), (2.0,))
    with pytest.raises(SpecError, match=r"normaliser\.high"):
        one.require_equal(other, mine="policy", theirs="critic")
