"""The page about a retargeted recording: what was seen, what the arm does, and what was wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw

from vgps_models.html import document, jpeg, listed, section, strip, table
from vgps_models.keypoints.person import ARM, PersonSeen
from vgps_models.spaces import Array, Image
from vgps_node.plots import over_time
from vgps_node.retargeting import Retargeted
from vgps_node.skeleton_drawing import draw_person
from vgps_sim.retarget.human import ANGLES, angles
from vgps_sim.retarget.maps import joint_map

HEIGHT = 220  # [px] of a picture
MEASURES = {
    "position_mm": ("tool's error [mm]", "{:.1f}"),
    "rotation_deg": ("tool's error [deg]", "{:.2f}"),
    "displacement": ("way of a joint [rad]", "{:.2f}"),
    "jerk": ("RMS jerk [rad/s^3]", "{:.0f}"),
    "likeness": ("likeness to the person's joints", "{:.2f}"),
    "limits_broken": ("frames beyond a limit", "{:.0f}"),
    "collisions": ("frames in collision", "{:.0f}"),
}


def page(made: Retargeted) -> str:
    """The HTML text."""
    told, motion = made.told, made.ways["retargeted"]
    seconds = (np.arange(len(motion.q)) * made.person.tip.period).tolist()
    lead = (
        f"{told['frames']} frames, {told['seconds']} s. The hand was found in {told['hand_found']:.0%} of them; "
        + ", ".join(f"the {joint} in {share:.0%}" for joint, share in told["joints_seen"].items())
        + "."
    )
    rows = [["", *made.ways]]
    rows += [
        [title, *(form.format(told["ways"][way][k]) for way in made.ways)] for k, (title, form) in MEASURES.items()
    ]
    faults = made.faults.lines()
    parts = [
        f"<h1>{told['recording']} on {told['arm']}</h1><p class=quiet>{lead}</p>",
        section("What was seen", strip([drawn(*one) for one in made.watched.pictures], "wrap")),
        section("What was wrong", listed(faults) if faults else "<p class=quiet>Nothing was noticed.</p>"),
        section("Two ways to follow it", table(rows)),
        section("The person", over_time(seconds, _person(made))),
        section("The arm", over_time(seconds, _arm(made))),
        section("How sure the points are", over_time(made.watched.seconds.tolist(), _sure(made.watched.sure))),
    ]
    return document(f"{told['recording']} on {told['arm']}", parts)


def drawn(image: Image, seen: PersonSeen) -> bytes:
    """A picture with the points in it (JPEG)."""
    canvas = Picture.fromarray(image)
    draw_person(ImageDraw.Draw(canvas), seen)
    return jpeg(np.asarray(canvas), HEIGHT)


def _person(made: Retargeted) -> dict[str, dict[str, Sequence[float]]]:
    tip, moves = made.person.tip.position, np.degrees(angles(made.person.arm))
    return {
        "fingertips [m]": {axis: tip[:, i].tolist() for i, axis in enumerate("xyz")},
        "between thumb and index finger [m]": {"apart": made.smoothed.gap.tolist()},
        "joints [deg]": {name: moves[:, i].tolist() for i, name in enumerate(ANGLES)},
    }


def _arm(made: Retargeted) -> dict[str, dict[str, Sequence[float]]]:
    names = joint_map(made.told["arm"]).joints
    return {
        **{
            f"joints, {way} [deg]": {name: np.degrees(m.q[:, i]).tolist() for i, name in enumerate(names)}
            for way, m in reversed(made.ways.items())
        },
        "tool's error [mm]": {way: (1e3 * m.position_error).tolist() for way, m in made.ways.items()},
        "tool's error [deg]": {way: np.degrees(m.rotation_error).tolist() for way, m in made.ways.items()},
    }


def _sure(sure: Array) -> dict[str, dict[str, Sequence[float]]]:
    curves = {"hand": sure[:, :21].mean(1).tolist()}
    return {"confidence": curves | {joint: sure[:, 21 + i].tolist() for i, joint in enumerate(ARM)}}
