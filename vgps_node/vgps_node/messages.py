"""ROS messages <-> plain values: the only place where one becomes the other.

Whatever matters to an action travels as float64, so nothing is lost on the way.
"""

from __future__ import annotations

import math

import numpy as np
from builtin_interfaces.msg import Duration, Time
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Header
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from vgps_models.contract import Contract
from vgps_models.errors import DataError
from vgps_models.spaces import Array
from vgps_models.spaces import Image as Pixels
from vgps_msgs import msg as vgps
from vgps_node.gate import Output, Reason, State, Status
from vgps_node.moments import ArmState, Candidates, Chunk, Moment, Progress, Scores, TaskState
from vgps_sim.kinematics import JointCommand

BASE_FRAME = "base_link"
NANO = 1_000_000_000


def to_time(stamp: int) -> Time:
    """[ns] -> Time."""
    return Time(sec=stamp // NANO, nanosec=stamp % NANO)


def from_time(time: Time) -> int:
    """Time -> [ns]."""
    return time.sec * NANO + time.nanosec


def header(stamp: int, frame: str = BASE_FRAME) -> Header:
    return Header(stamp=to_time(stamp), frame_id=frame)


def stamp_of(message: object) -> int:
    """Stamp of any message with a header [ns]."""
    return from_time(message.header.stamp)  # pyright: ignore[reportAttributeAccessIssue]


def _moment(message: object) -> Moment:
    return Moment(stamp_of(message), message.seed, message.step)  # pyright: ignore[reportAttributeAccessIssue]


# Images


def image_to_msg(pixels: Pixels, stamp: int, frame: str) -> Image:
    """(height, width, 3) RGB -> rgb8."""
    height, width, _ = pixels.shape
    message = Image(header=header(stamp, frame), height=height, width=width, encoding="rgb8", step=3 * width)
    message.data = pixels.tobytes()  # a list would take sixty times as long
    return message


def image_from_msg(message: Image) -> Pixels:
    """rgb8 or bgr8, rows padded or not -> (height, width, 3) RGB."""
    if message.encoding not in ("rgb8", "bgr8"):
        raise DataError(f"an image is encoded as '{message.encoding}'; choose one of: bgr8, rgb8")
    height, width, step = message.height, message.width, message.step
    data = np.frombuffer(message.data, np.uint8)
    if step < 3 * width or data.size != height * step:
        raise DataError(f"an image of {height}x{width} with rows of {step} bytes holds {data.size} bytes")
    pixels = data.reshape(height, step)[:, : 3 * width].reshape(height, width, 3)
    return pixels[..., ::-1].copy() if message.encoding == "bgr8" else pixels


def depth_to_msg(depth: Array, stamp: int, frame: str) -> Image:
    """(height, width) [m] -> 16UC1 [mm], as depth cameras give it; what is too far for that is 0."""
    units = np.round(1000 * depth)
    units = np.where(np.isfinite(units) & (units <= np.iinfo(np.uint16).max), units, 0).astype("<u2")
    height, width = units.shape
    message = Image(header=header(stamp, frame), height=height, width=width, encoding="16UC1", step=2 * width)
    message.data = units.tobytes()
    return message


def camera_info(stamp: int, frame: str, height: int, width: int, fovy: float) -> CameraInfo:
    """A pinhole without distortion. fovy: vertical field of view [deg]."""
    f = 0.5 * height / math.tan(math.radians(fovy) / 2)
    cx, cy = (width - 1) / 2, (height - 1) / 2  # pixels are counted from the middle of the first one
    return CameraInfo(
        header=header(stamp, frame),
        height=height,
        width=width,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=[f, 0.0, cx, 0.0, f, cy, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[f, 0.0, cx, 0.0, 0.0, f, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    )


# Joints


def gripper_to_metres(opening: float, travel: float) -> float:
    """Joint position [m] that reads back as exactly `opening`, where one exists."""
    guess = opening * travel
    for metres in (guess, math.nextafter(guess, -1.0), math.nextafter(guess, 1.0)):
        if metres / travel == opening:
            return metres
    return guess


def arm_state_to_msg(arm: ArmState, stamp: int, contract: Contract) -> JointState:
    metres = gripper_to_metres(arm.gripper, contract.gripper_travel)
    return JointState(
        header=header(stamp),
        name=[*contract.joints, contract.gripper_joint],
        position=[*arm.q.tolist(), metres],
        velocity=[*arm.velocity.tolist(), 0.0],
        effort=[0.0] * (len(arm.q) + 1),  # bags are refused where velocity or effort is missing
    )


def arm_state_from_msg(message: JointState, contract: Contract) -> ArmState:
    """Joints by name, whatever their order and whatever else is there."""
    position = dict(zip(message.name, message.position, strict=False))
    velocity = dict(zip(message.name, message.velocity, strict=False))
    if missing := [name for name in (*contract.joints, contract.gripper_joint) if name not in position]:
        raise DataError(f"joint states lack {', '.join(missing)}; they have {', '.join(message.name) or 'nothing'}")
    return ArmState(
        q=np.array([position[name] for name in contract.joints]),
        gripper=float(np.clip(position[contract.gripper_joint] / contract.gripper_travel, 0.0, 1.0)),
        velocity=np.array([velocity.get(name, 0.0) for name in contract.joints]),
    )


def command_to_msg(command: JointCommand, stamp: int, contract: Contract) -> JointTrajectory:
    """A trajectory of one point, stamped with the observation that it answers."""
    seconds, fraction = divmod(round(command.duration * NANO), NANO)
    point = JointTrajectoryPoint(
        positions=[*command.q.tolist(), gripper_to_metres(command.gripper, contract.gripper_travel)],
        time_from_start=Duration(sec=seconds, nanosec=fraction),
    )
    return JointTrajectory(header=header(stamp), joint_names=[*contract.joints, contract.gripper_joint], points=[point])


def command_from_msg(message: JointTrajectory, contract: Contract) -> JointCommand:
    """The last point of a trajectory."""
    if not message.points:
        raise DataError("a joint trajectory has no points")
    point = list(message.points)[-1]
    target = dict(zip(message.joint_names, point.positions, strict=False))
    if missing := [name for name in (*contract.joints, contract.gripper_joint) if name not in target]:
        raise DataError(f"a joint trajectory lacks {', '.join(missing)}")
    return JointCommand(
        q=np.array([target[name] for name in contract.joints]),
        gripper=float(np.clip(target[contract.gripper_joint] / contract.gripper_travel, 0.0, 1.0)),
        duration=point.time_from_start.sec + point.time_from_start.nanosec / NANO,
    )


# Chunks, scores and states


def candidates_to_msg(candidates: Candidates) -> vgps.Candidates:
    k, horizon, size = candidates.actions.shape
    return vgps.Candidates(
        header=header(candidates.moment.stamp),
        seed=candidates.moment.seed,
        step=candidates.moment.step,
        k=k,
        horizon=horizon,
        action_dim=size,
        actions=_floats(candidates.actions),
        log_prob=[] if candidates.log_prob is None else _floats(candidates.log_prob),
        sample_ms=candidates.sample_ms,
    )


def candidates_from_msg(message: vgps.Candidates) -> Candidates:
    if message.k < 1:
        raise DataError("a message of candidates holds none")
    actions = _reshape(message.actions, (message.k, message.horizon, message.action_dim), "candidates")
    log_prob = _reshape(message.log_prob, (message.k,), "candidates' log_prob") if len(message.log_prob) else None
    return Candidates(_moment(message), actions, message.sample_ms, log_prob)


def chunk_to_msg(chunk: Chunk) -> vgps.ActionChunk:
    horizon, size = chunk.actions.shape
    return vgps.ActionChunk(
        header=header(chunk.moment.stamp),
        seed=chunk.moment.seed,
        step=chunk.moment.step,
        horizon=horizon,
        action_dim=size,
        actions=_floats(chunk.actions),
    )


def chunk_from_msg(message: vgps.ActionChunk) -> Chunk:
    return Chunk(_moment(message), _reshape(message.actions, (message.horizon, message.action_dim), "chunk"))


def scores_to_msg(scores: Scores) -> vgps.Scores:
    return vgps.Scores(
        header=header(scores.moment.stamp),
        seed=scores.moment.seed,
        step=scores.moment.step,
        rule=scores.rule,
        mean=_floats(scores.mean),
        std=_floats(scores.std),
        chosen=scores.chosen,
        doubt=scores.doubt,
        abstained=scores.abstained,
        dropped=scores.dropped,
        encode_ms=scores.encode_ms,
        score_ms=scores.score_ms,
        candidates_to_choice_ms=scores.candidates_to_choice_ms,
    )


def progress_to_msg(progress: Progress) -> vgps.Progress:
    return vgps.Progress(
        header=header(progress.moment.stamp),
        seed=progress.moment.seed,
        step=progress.moment.step,
        source=progress.source,
        value=progress.value,
        spread=progress.spread,
        success=progress.success,
        ms=progress.ms,
    )


def progress_from_msg(message: vgps.Progress) -> Progress:
    return Progress(_moment(message), message.source, message.value, message.spread, message.success, message.ms)


def scores_from_msg(message: vgps.Scores) -> Scores:
    return Scores(
        _moment(message),
        message.rule,
        np.array(message.mean),
        np.array(message.std),
        message.chosen,
        message.doubt,
        message.abstained,
        message.dropped,
        message.encode_ms,
        message.score_ms,
        message.candidates_to_choice_ms,
    )


def task_state_to_msg(state: TaskState) -> vgps.TaskState:
    return vgps.TaskState(
        header=header(state.moment.stamp),
        task=state.task,
        instruction=state.instruction,
        episode=state.episode,
        seed=state.moment.seed,
        step=state.moment.step,
        events=list(state.events),
        success=state.success,
        done=state.done,
        loop_ms=state.loop_ms,
    )


def task_state_from_msg(message: vgps.TaskState) -> TaskState:
    return TaskState(
        _moment(message),
        message.task,
        message.instruction,
        message.episode,
        tuple(message.events),
        message.success,
        message.done,
        message.loop_ms,
    )


def status_to_msg(status: Status) -> vgps.GateStatus:
    return vgps.GateStatus(
        header=header(status.moment.stamp),
        state=int(status.state),
        reason=int(status.reason),
        detail=status.detail,
        accepted=status.accepted,
        rejected=status.rejected,
        since_chunk=status.since_chunk,
    )


def status_from_msg(message: vgps.GateStatus) -> Status:
    return Status(
        Moment(stamp_of(message)),
        State(message.state),
        Reason(message.reason),
        message.detail,
        message.accepted,
        message.rejected,
        message.since_chunk,
    )


def sent_action_to_msg(output: Output) -> vgps.SentAction:
    return vgps.SentAction(
        header=header(output.moment.stamp),
        seed=output.moment.seed,
        step=output.moment.step,
        action=np.asarray(output.action, dtype=np.float64),
        hold=output.hold,
        reason=int(output.reason),
        detail=output.detail,
    )


def _floats(values: Array) -> list[float]:
    return np.asarray(values, dtype=np.float64).ravel().tolist()


def _reshape(values: object, shape: tuple[int, ...], what: str) -> Array:
    array = np.array(values, dtype=np.float64)
    if array.size != math.prod(shape):
        raise DataError(f"a message of {what} says its shape is {shape} but holds {array.size} numbers")
    return array.reshape(shape)
