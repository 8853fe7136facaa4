"""A person's hand: bones that fit its skin, pinches that close where they should, landmarks that are in the picture."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from vgps_models.errors import DataError
from vgps_sim.human.grip import PAD, pinch
from vgps_sim.human.rig import FILE, JOINTS, LANDMARKS, landmarks, load_rig
from vgps_sim.people.parts import Tip, follow
from vgps_sim.people.person import Person
from vgps_sim.renderers import Renderers

RIG = load_rig()


def test_the_rig_is_a_hand():
    assert len(JOINTS) == 25 and len(LANDMARKS) == 21 and set(LANDMARKS) < set(JOINTS) == set(RIG.rest)
    assert np.allclose(RIG.weights.sum(1), 1) and RIG.faces.max() < len(RIG.vertices)
    assert all(np.allclose(m[:3, :3] @ m[:3, :3].T, np.eye(3), atol=1e-4) for m in RIG.rest.values())
    tip, wrist = RIG.rest["middle-finger-tip"][:3, 3], RIG.rest["wrist"][:3, 3]
    assert 0.16 < np.linalg.norm(tip - wrist) < 0.20


def test_unbent_it_is_as_in_the_file():
    poses = RIG.pose(RIG.rest["wrist"], {})
    assert all(np.allclose(poses[j], RIG.rest[j], atol=1e-6) for j in JOINTS)
    assert np.allclose(RIG.skin(poses), RIG.vertices, atol=1e-6)


@settings(max_examples=20)
@given(st.floats(0.8, 1.2), st.floats(-3, 3), st.floats(0, 1.4))
def test_size_and_place_move_skin_and_bones_alike(size, yaw, bent):
    there = np.eye(4)
    there[:3, :3], there[:3, 3] = Rotation.from_euler("z", yaw).as_matrix(), [0.3, -0.1, 0.2]
    bends = {"index-finger-phalanx-proximal": (bent, 0.0, 0.0)}
    here, moved = RIG.pose(np.eye(4), bends), RIG.pose(there, bends, size)
    expected = there[:3, 3] + size * landmarks(here) @ there[:3, :3].T
    assert np.allclose(landmarks(moved), expected, atol=1e-9)
    assert np.allclose(RIG.skin(moved, size), there[:3, 3] + size * RIG.skin(here) @ there[:3, :3].T, atol=1e-6)


def test_a_finger_bends_towards_the_palm():
    straight = RIG.pose(np.eye(4), {})
    bent = RIG.pose(np.eye(4), {"index-finger-phalanx-proximal": (1.0, 0.0, 0.0)})
    assert bent["index-finger-tip"][1, 3] < straight["index-finger-tip"][1, 3] - 0.03  # y leads out of the back


@settings(max_examples=30)
@given(st.floats(0.005, 0.09), st.floats(0.9, 1.1))
def test_pads_are_a_gap_apart_and_face_each_other(gap, size):
    poses = RIG.pose(np.eye(4), pinch(gap, size).bends, size)
    pads, facing = [], []
    for name in ("thumb-tip", "index-finger-tip"):
        facing.append(-poses[name][:3, 1])
        pads.append(poses[name][:3, 3] + PAD * size * facing[-1])
    assert np.linalg.norm(pads[1] - pads[0]) == pytest.approx(gap, abs=0.002)
    assert facing[0] @ facing[1] < -0.9
    assert pinch(gap, size).centre == pytest.approx((pads[0] + pads[1]) / 2)


@pytest.mark.parametrize("cut", [0, 10, 5000, -1000])
def test_a_damaged_file_is_named(tmp_path: Path, cut):
    file = tmp_path / "hand.glb"
    file.write_bytes(FILE.read_bytes()[:cut])
    with pytest.raises(DataError, match="is not the hand it should be"):
        load_rig(file)


@settings(max_examples=15)
@given(st.integers(0, 1000), st.floats(-0.7, 0.7), st.floats(0.01, 0.06))
def test_it_pinches_where_its_tip_is(seed, turn, gap):
    person = Person(np.random.default_rng(seed))
    person.side = float(np.random.default_rng(seed).uniform(-3, 3))
    tip = Tip(np.array([0.3, 0.05, 0.1]), person.natural_yaw + turn, gap)
    hand = person.seen(tip).hand
    thumb, index = hand[LANDMARKS.index("thumb-tip")], hand[LANDMARKS.index("index-finger-tip")]
    assert np.linalg.norm((thumb + index) / 2 - tip.position) < 0.01
    y = np.array([-np.sin(tip.yaw), np.cos(tip.yaw), 0.0])
    assert (index - thumb) @ y > 0.8 * np.linalg.norm(index - thumb)
    wrist = hand[0]
    assert wrist[2] > tip.position[2] + 0.05  # from above
    if abs(turn) < 0.1:
        away = np.array([np.cos(person.side), np.sin(person.side)])
        assert (wrist - tip.position)[:2] @ away > 0  # on the person's side


def test_the_skin_that_is_drawn_is_that_over_the_bones():
    """MuJoCo blends the skin itself; the landmarks are true only if it does so over these bones."""
    person = Person(np.random.default_rng(3))
    spec = mujoco.MjSpec()
    person.add(spec)
    model = spec.compile()
    data = mujoco.MjData(model)
    tip = Tip(np.array([0.3, 0.0, 0.15]), person.natural_yaw, 0.03)
    follow(data, model, person.poses(tip))
    mujoco.mj_forward(model, data)
    scene, option, camera = mujoco.MjvScene(model, 1000), mujoco.MjvOption(), mujoco.MjvCamera()
    mujoco.mjv_updateScene(model, data, option, None, camera, mujoco.mjtCatBit.mjCAT_ALL, scene)
    poses = {joint: np.eye(4) for joint in JOINTS}
    for joint in JOINTS:
        body = data.body(f"person_{joint}")
        poses[joint][:3, :3], poses[joint][:3, 3] = body.xmat.reshape(3, 3), body.xpos
    drawn = np.asarray(scene.skinvert).reshape(-1, 3)[: len(RIG.vertices)]
    assert np.abs(drawn - RIG.skin(poses, person.size)).max() < 1e-3
    assert np.allclose(person.seen(tip).hand, landmarks(poses), atol=1e-6)


def test_depth_is_where_the_camera_says_and_pictures_come_as_before():
    """A ball over a table, seen from above: its top and the table at their distances, and colours again afterwards."""
    spec = mujoco.MjSpec()
    spec.visual.global_.offwidth, spec.visual.global_.offheight = 160, 120
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[1, 1, 0.1], rgba=[0.2, 0.6, 0.2, 1])
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.05, 0, 0], pos=[0, 0, 0.05])
    spec.worldbody.add_camera(name="above", pos=[0, 0, 0.9], fovy=45)
    spec.worldbody.add_light(pos=[0, 0, 2])
    model = spec.compile()
    data, renderers = mujoco.MjData(model), Renderers(model)
    mujoco.mj_forward(model, data)
    before = renderers.draw(data, "above", 120, 160)
    depth = renderers.depth(data, "above", 120, 160)
    assert depth.shape == (120, 160) and depth[60, 80] == pytest.approx(0.8, abs=2e-3)
    assert depth[5, 5] == pytest.approx(0.9, abs=2e-3)
    assert np.array_equal(renderers.draw(data, "above", 120, 160), before)
    renderers.close()
