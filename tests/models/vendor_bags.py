"""Recordings that librealsense itself writes, of a scene that is known: a table that is looked at aslant, and a box
on it. Versions of pyrealsense2 up to 2.57 write a .bag, later ones a .db3.

    python tests/models/vendor_bags.py tests/models/recordings/table.bag  # the fixture, with the version installed
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from vgps_models.keypoints.camera import Intrinsics

DEPTH = Intrinsics(64, 48, 40.0, 40.5, 31.2, 23.6)
COLOUR = Intrinsics(80, 60, 64.0, 64.3, 39.9, 29.1)
TURN = np.array([0.01, -0.02, 0.015])  # [rad]
STEP = 0.001  # [m] of depth
COUNT = 4
PERIOD = 1 / 30  # [s]
TABLE, BOX = (np.array([0.0, -0.8, -0.6]), -0.6), 0.45  # normal and distance of the plane; depth of the box [m]

Shot = tuple[float, np.ndarray, np.ndarray]  # seconds, RGB, steps of depth (h, w) uint16


def pose(turn: np.ndarray = TURN) -> np.ndarray:
    """Of the depth camera in colour's frame: 15 mm to the side, and a little turned."""
    made = np.eye(4)
    made[:3, :3], made[:3, 3] = Rotation.from_rotvec(turn).as_matrix(), [0.015, -0.0005, 0.001]
    return made


def scene(camera: Intrinsics, T_camera_world: np.ndarray, number: int) -> np.ndarray:
    """Depth (h, w) [m]: the world is colour's frame; the box moves to the right."""
    pixels = np.stack(np.meshgrid(np.arange(camera.width), np.arange(camera.height)), -1).astype(np.float64)
    T_world_camera = np.linalg.inv(T_camera_world)
    rays, eye = camera.lift(pixels, np.ones(pixels.shape[:2])) @ T_world_camera[:3, :3].T, T_world_camera[:3, 3]
    normal, distance = TABLE
    table = (distance - normal @ eye) / (rays @ normal)
    box = (BOX - eye[2]) / rays[..., 2]
    across, down = (eye[axis] + box * rays[..., axis] for axis in (0, 1))
    on = (abs(across - 0.03 * number) < 0.07) & (abs(down - 0.02) < 0.06) & (box > 0)
    return np.where(on, np.minimum(box, np.where(table > 0, table, np.inf)), table)


def colour(number: int) -> np.ndarray:
    """(60, 80, 3): nothing in it is the same when colours are swapped or rows and columns are."""
    made = np.zeros((COLOUR.height, COLOUR.width, 3), np.uint8)
    made[..., 0], made[..., 1], made[:10, :, 2] = 200, 50 + 10 * number, 250
    made[:, :10, 1] = 250
    return made


def shots() -> Iterator[Shot]:
    for number in range(COUNT):
        depth = scene(DEPTH, np.linalg.inv(pose()), number)
        steps = np.where((depth > 0) & (depth < 10), depth / STEP, 0).round().astype(np.uint16)
        yield 10 + number * PERIOD, colour(number), steps


def record(
    path: Path, film: Iterable[Shot], depth: Intrinsics, camera: Intrinsics, T_camera_depth: np.ndarray, *,
    packed: bool = True, distortion: Sequence[float] = (0, 0, 0, 0, 0), apart: float = 0.004, rest: float = 0.01,
) -> None:  # fmt: skip
    """Written by the recorder of librealsense from a device of its own in software. distortion: of colour, as Brown and
    Conrady. apart: how much later than depth colour is [s]. rest: after every frame [s], for the recorder drops
    what comes too fast."""
    import pyrealsense2 as rs  # type: ignore[import-not-found]

    device = rs.software_device()
    sensors = [device.add_sensor("Stereo Module"), device.add_sensor("RGB Camera")]
    streams = (
        (rs.stream.depth, rs.format.z16, 2, depth, [0.0] * 5, rs.distortion.brown_conrady),
        (rs.stream.color, rs.format.rgb8, 3, camera, list(distortion), rs.distortion.inverse_brown_conrady),
    )
    profiles: list[Any] = []
    for number, (sensor, (kind, encoding, size, lens, coefficients, model)) in enumerate(
        zip(sensors, streams, strict=True)
    ):
        stream, told = rs.video_stream(), rs.intrinsics()
        told.width, told.height, told.model, told.coeffs = lens.width, lens.height, model, coefficients
        told.fx, told.fy, told.ppx, told.ppy = lens.fx, lens.fy, lens.cx, lens.cy
        stream.type, stream.fmt, stream.bpp, stream.intrinsics, stream.uid = kind, encoding, size, told, number + 1
        stream.width, stream.height, stream.fps, stream.index = lens.width, lens.height, round(1 / PERIOD), 0
        profiles.append(sensor.add_video_stream(stream, True).as_video_stream_profile())
    sensors[0].add_read_only_option(rs.option.depth_units, STEP)
    extrinsics = rs.extrinsics()
    extrinsics.rotation = T_camera_depth[:3, :3].T.ravel().tolist()  # by columns
    extrinsics.translation = T_camera_depth[:3, 3].tolist()
    profiles[0].register_extrinsics_to(profiles[1], extrinsics)
    recorder, queue = rs.recorder(str(path), device, packed), rs.syncer(100)
    for sensor in recorder.query_sensors():
        sensor.open(sensor.get_stream_profiles()[0])
        sensor.start(queue)
    for number, (seconds, rgb, steps) in enumerate(film, start=1):
        for at, sensor, profile, pixels in zip(
            (seconds, seconds + apart), sensors, profiles, (steps, rgb), strict=True
        ):
            frame = rs.software_video_frame()
            frame.pixels, frame.profile, frame.frame_number = np.ascontiguousarray(pixels), profile, number
            frame.stride, frame.bpp = pixels.strides[0], pixels.strides[1]
            frame.timestamp, frame.domain = 1000 * at, rs.timestamp_domain.hardware_clock
            if sensor is sensors[0]:
                frame.depth_units = STEP
            sensor.on_video_frame(frame)
        time.sleep(rest)
    for sensor in recorder.query_sensors():
        sensor.stop()
        sensor.close()


def recorded(path: Path, film: Iterable[Shot], *cameras: Any, **how: Any) -> Path:
    """The same under the ending that the version installed wants, which it says itself."""
    for ending in (".bag", ".db3"):
        try:
            record(path.with_suffix(ending), film, *cameras, **how)
        except RuntimeError as error:
            if "extension" not in str(error):
                raise
        else:
            return path.with_suffix(ending)
    raise AssertionError("it wants neither .bag nor .db3")


def aligned(rs: Any, path: Path) -> dict[int, np.ndarray]:
    """Depth [m] as librealsense aligns it, 0 for holes, by the number of the frame; of those that it plays in pairs."""
    pipeline, config, made = rs.pipeline(), rs.config(), dict[int, np.ndarray]()
    rs.config.enable_device_from_file(config, str(path), repeat_playback=False)
    pipeline.start(config).get_device().as_playback().set_real_time(False)
    align = rs.align(rs.stream.color)
    while (came := pipeline.try_wait_for_frames(1000))[0]:
        frames = align.process(came[1])
        depth, colour = frames.get_depth_frame(), frames.get_color_frame()
        if depth and colour and depth.get_frame_number() == colour.get_frame_number():
            made[colour.get_frame_number() - 1] = np.array(depth.get_data(), np.float64) * STEP
    pipeline.stop()
    return made


def main() -> None:
    path = Path(sys.argv[1])
    path.parent.mkdir(exist_ok=True)
    record(path, shots(), DEPTH, COLOUR, pose())
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
