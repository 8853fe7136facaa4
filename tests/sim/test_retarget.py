"""Retargeting: angles and back, gradients and limits, and what it is worth against the end-effector alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path as File

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from vgps_models.errors import DataError, SpecError, UnknownNameError
from vgps_sim.human.filming import film
from vgps_sim.retarget.chains import CHAINS, get_chain
from vgps_sim.retarget.collisions import colliding
from vgps_sim.retarget.compare import RetargetBench, bench_retarget, smoothed
from vgps_sim.retarget.human import ANGLES, Arm, angles, posture
from vgps_sim.retarget.maps import joint_map
from vgps_sim.retarget.motion import end_effector_only, retarget
from vgps_sim.retarget.reaching import Noise, reaching
from vgps_sim.retarget.refine import Path, Refiner, Weights
from vgps_sim.retarget.shown import Shown, above, seated, shown

STILL = Noise(0.0, 0.0, 0.0)
HOME = {arm: np.array(joint_map(arm).home) for arm in CHAINS}
SHOULDER = np.array([0.0, 0.0, 0.4])
# Where every angle can be seen: the upper arm neither hangs nor points up, the elbow is bent, the wrist not square.
poses = st.tuples(
    st.floats(-1.2, 1.2), st.floats(0.2, 2.0), st.floats(-1.2, 1.2), st.floats(0.2, 2.4), st.floats(-1.4, 1.4),
    st.floats(-1.2, 1.2), st.floats(-0.6, 0.6),
)  # fmt: skip


@settings(max_examples=60)
@given(poses)
def test_angles_are_those_the_arm_was_posed_with(pose):
    arm = posture(np.array([pose]), SHOULDER, (0.3, 0.27))
    assert angles(arm)[0] == pytest.approx(pose, abs=1e-6)
    assert arm.lengths == pytest.approx((0.3, 0.27))


@settings(max_examples=30)
@given(poses)
def test_a_left_arm_is_a_mirrored_right_one(pose):
    arm = posture(np.array([pose]), SHOULDER, (0.3, 0.27))
    other = arm.mirrored
    assert np.allclose(np.linalg.det(other.hand), 1) and np.allclose(other.elbow[:, 1], -arm.elbow[:, 1])
    assert np.allclose(other.mirrored.hand, arm.hand) and np.allclose(angles(other.mirrored), angles(arm))


def test_what_cannot_be_seen_stays_as_it_was():
    seen = np.array([[0.5, 0.8, 0.4, 1.0, 0.0, 0.0, 0.0], [0.5, 0.0, 0.4, 1.0, 0.0, 0.0, 0.0]])
    hanging = angles(posture(seen, SHOULDER, (0.3, 0.27)))
    assert hanging[1, ANGLES.index("azimuth")] == pytest.approx(0.5)
    seen[1] = seen[0] * [1, 1, 1, 0, 1, 1, 1]
    straight = angles(posture(seen, SHOULDER, (0.3, 0.27)))
    assert straight[1, ANGLES.index("rotation")] == pytest.approx(0.4)


def test_arms_that_are_none_are_refused():
    arm = posture(np.zeros((2, 7)), SHOULDER, (0.3, 0.27))
    with pytest.raises(DataError, match="elbow is"):
        replace(arm, elbow=arm.elbow[:1])
    with pytest.raises(DataError, match="no frames"):
        Arm(np.empty((0, 3)), np.empty((0, 3)), np.empty((0, 3)), np.empty((0, 3, 3)))
    with pytest.raises(DataError, match="the same place"):
        angles(replace(arm, wrist=arm.elbow))


@pytest.mark.parametrize("arm", CHAINS)
def test_maps_say_how_every_joint_moves_and_why(arm):
    made, chain = joint_map(arm), get_chain(arm)
    assert made.joints == chain.joints and made.site == chain.site
    assert all(len(follows.reason) > 20 for follows in made.follows)
    low, high = chain.limits
    assert (low <= made.home).all() and (made.home <= high).all()
    assert np.allclose(made(np.array([made.neutral])), made.home)
    motion = np.tile(made.neutral, (50, 1)) + 0.3 * np.sin(np.linspace(0, 9, 50))[:, None]
    assert made.likeness(made(motion), motion) == pytest.approx(1)
    assert made.likeness(made.home - (made(motion) - made.home), motion) == pytest.approx(-1)


def test_a_map_that_is_wrong_says_where(tmp_path: File):
    good = (File(joint_map.__globals__["FOLDER"]) / "widowx_ai.yaml").read_text(encoding="utf-8")
    for old, new, told in (
        ("from: azimuth", "from: knee", "not from knee"),
        ("home_deg: [0, ", "home_deg: [", "a home of 6 angles"),
        ("site: ee_site", "sight: ee_site", "KeyError: 'site'"),
        ("arm: widowx_ai", "arm: [", "cannot be read"),
    ):
        file = tmp_path / "map.yaml"
        file.write_text(good.replace(old, new), encoding="utf-8")
        with pytest.raises(SpecError, match=told):
            joint_map("mine", file)
    with pytest.raises(UnknownNameError, match="widowx_250s, widowx_ai"):
        joint_map("widowx_9")
    with pytest.raises(UnknownNameError, match="widowx_250s"):
        get_chain("widowx_9")


def test_the_250s_reaches_its_home_where_its_maker_says():
    chain = get_chain("widowx_250s")
    refiner = Refiner(chain)
    path = Path(np.tile([0.45835, 0.0, 0.36065], (4, 1)), np.tile(np.eye(3), (4, 1, 1)), 0.1)
    position, rotation = refiner.errors(np.zeros((4, 6)), path)
    assert position.max() < 1e-9 and rotation.max() < 1e-9


@pytest.mark.parametrize("arm", CHAINS)
def test_with_nothing_else_asked_for_it_is_inverse_kinematics(arm):
    chain, shown = get_chain(arm), reaching(0, moves=1, noise=STILL)
    weights = Weights(jerk=1e-3, posture=0)
    alone = end_effector_only(chain, shown.tip, np.array(joint_map(arm).home))
    found = Refiner(chain, weights).solve(shown.tip, alone, start=alone + 0.02)
    assert found.position_error.max() < 1e-4 and found.rotation_error.max() < 1e-3
    assert np.abs(found.q - alone).max() < 0.02


def test_a_solution_is_a_minimum_of_what_it_says_it_minimises():
    """No nearby motion has a smaller sum of squares, computed here from its definition."""
    chain, shown, w = get_chain("widowx_ai"), reaching(1, moves=1), Weights()
    mapped = joint_map("widowx_ai")(angles(shown.arm))
    start = end_effector_only(chain, shown.tip, mapped[0])
    refiner = Refiner(chain, w)

    def cost(q: np.ndarray) -> float:
        position, rotation = refiner.errors(q, shown.tip)
        rough = w.jerk**2 * (np.diff(q, 3, axis=0) ** 2).sum()
        off = (position**2).sum() / w.position**2 + (rotation**2).sum() / w.rotation**2
        return off + rough + w.posture**2 * ((q - start) ** 2).sum()

    found = refiner.solve(shown.tip, start, start=start, iterations=40).q
    random, (low, high) = np.random.default_rng(0), chain.limits
    for _ in range(5):
        waves = np.sin(np.linspace(0, random.uniform(1, 9), len(found)))[:, None]
        for size in (2e-3, -2e-3):
            near = np.clip(found + size * waves * random.normal(0, 1, found.shape[1]), low, high)
            assert cost(found) < cost(near)


def test_limits_hold_where_the_path_does_not():
    """A path that leads out of reach: the joints stop at their limits."""
    chain, shown = get_chain("widowx_ai"), reaching(2, moves=1, noise=STILL)
    far = Path(shown.tip.position + [0.5, 0.0, 0.3], shown.tip.rotation, shown.tip.period)
    home = np.tile(joint_map("widowx_ai").home, (len(far), 1))
    found = Refiner(chain).solve(far, home)
    low, high = chain.limits
    assert np.isfinite(found.q).all() and (found.q >= low).all() and (found.q <= high).all()
    assert found.position_error.max() > 0.05  # and it says so


@pytest.mark.parametrize("arm", CHAINS)
def test_it_moves_less_and_softer_more_like_a_person_and_meets_the_tool(arm):
    chain = get_chain(arm)
    told = bench_retarget(RetargetBench(arms=(arm,), seeds=(0, 1, 2)))[arm]
    alone, found = told["end_effector"], told["retargeted"]
    assert found["true_position_mm"] < 5 and found["true_rotation_deg"] < 2
    assert told["lower_by"]["displacement"] > 0.2 and told["lower_by"]["jerk"] > 0.2
    assert found["likeness"] > alone["likeness"] and told["worst"]["limits_broken"] == told["worst"]["collisions"] == 0
    q = retarget(arm, chain, reaching(3)).q
    q[:, 1] += 0.9
    assert colliding(chain, q).any()  # it can see them


def test_a_smoothed_path_is_nearer_to_what_was_done():
    shown = reaching(0)
    path = smoothed(shown.tip)
    assert np.allclose(np.linalg.det(path.rotation), 1)
    both, true = (shown.tip, path), shown.true_tip
    before, after = (np.linalg.norm(p.position - true.position, axis=1).mean() for p in both)
    turned = [Rotation.from_matrix(p.rotation @ true.rotation.transpose(0, 2, 1)).magnitude().mean() for p in both]
    assert after < 0.7 * before and turned[1] < 0.7 * turned[0]


def test_paths_and_weights_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="four frames"):
        Path(np.zeros((3, 3)), np.tile(np.eye(3), (3, 1, 1)), 0.1)
    with pytest.raises(SpecError, match="above 0"):
        Weights(position=0.0)
    chain, shown = get_chain("widowx_ai"), reaching(0, moves=1)
    with pytest.raises(DataError, match="a posture of"):
        Refiner(chain).solve(shown.tip, np.zeros((3, 6)))


@pytest.mark.parametrize("arm", CHAINS)
def test_a_motion_through_the_table_is_raised_above_it(arm):
    chain, shown = get_chain(arm), reaching(1)
    low = replace(shown.tip, position=shown.tip.position - [0.0, 0.0, 0.03])
    sunk = replace(shown, tip=low)
    direct = Refiner(chain).solve(
        low, joint_map(arm)(angles(shown.arm)), start=end_effector_only(chain, low, HOME[arm])
    )
    made = retarget(arm, chain, sunk)
    assert colliding(chain, direct.q).sum() > 10 and not colliding(chain, made.q).any()
    # Only there: where nothing is touched the tool is as near as ever, and errors are told to what was asked.
    high = low.position[:, 2] > 0.08
    assert np.median(made.position_error[high]) < 0.006 and made.position_error.max() > 0.01


def begun(person: Shown, begin: tuple[float, float, float], frames: int = 15) -> Shown:
    """The same, its fingers coming from `begin` [m], over so many frames."""

    def longer(values: np.ndarray) -> np.ndarray:
        return np.concatenate([np.repeat(values[:1], frames, axis=0), values])

    arm, tip = person.arm, person.tip
    way = np.linspace(begin, tip.position[0], frames, endpoint=False)
    return replace(
        person,
        arm=Arm(longer(arm.shoulder), longer(arm.elbow), longer(arm.wrist), longer(arm.hand)),
        tip=replace(tip, position=np.concatenate([way, tip.position]), rotation=longer(tip.rotation)),
    )


@pytest.mark.parametrize("arm", CHAINS)
@pytest.mark.parametrize("begin", [(0.9, 0.0, 0.3), (0.0, 0.0, 0.05), (-0.15, 0.1, 0.2)])
def test_who_begins_out_of_reach_or_in_the_base_is_followed_from_where_the_arm_can(arm, begin):
    chain, person = get_chain(arm), begun(reaching(0), begin)
    made = retarget(arm, chain, person)
    assert np.median(made.position_error[20:]) < 0.006 and not colliding(chain, made.q).any()
    assert (made.q >= chain.limits[0]).all() and (made.q <= chain.limits[1]).all()


@pytest.mark.parametrize("seed", [400004, 400005, 400011])  # whose hands begin above where the arm's base stands
def test_a_pouring_is_met_without_a_collision(seed):
    filmed = film("pour_balls", seed, width=32, height=24, failures=0.0, whole=True)
    turn, move = filmed.camera_pose[:3, :3], filmed.camera_pose[:3, 3]
    joints = np.stack([filmed.shoulder, filmed.elbow, filmed.hand[:, 0]], axis=1)
    person = above(seated(shown(filmed.hand @ turn.T + move, joints @ turn.T + move, 1 / filmed.fps)), 0.012)
    chain = get_chain("widowx_ai")
    made = retarget("widowx_ai", chain, person)
    assert np.median(made.position_error) < 0.03  # five frames a second, which is coarse for what is smooth
    assert not colliding(chain, made.q).any()


def test_an_arm_that_folds_into_itself_is_seen():
    chain = get_chain("widowx_ai")
    q = np.tile(joint_map("widowx_ai").home, (3, 1))
    assert not colliding(chain, q).any()
    low, high = chain.limits
    rng = np.random.default_rng(0)
    found = [row for row in rng.uniform(low, high, (400, 6)) if colliding(chain, row[None])[0]]
    own = 0
    for row in found:
        data = mujoco.MjData(chain.model)
        data.qpos[[int(chain.model.joint(name).qposadr[0]) for name in chain.joints]] = row
        mujoco.mj_forward(chain.model, data)
        own += not (data.contact.dist[: data.ncon] < -0.001).any()
    assert own > 3  # that touch nothing but themselves
