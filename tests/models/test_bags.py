"""MCAP bags: attempts are cut where the task says, pictures come in any encoding, damage is named and read around."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import bag_messages
import numpy as np
import pytest
from bag_messages import HEADER, STAMP, header
from PIL import Image as Picture

pytest.importorskip("mcap_ros2")
from mcap_ros2.writer import Writer

from vgps_models.bags.pictures import COMPRESSED, RAW
from vgps_models.errors import DataError, UnknownNameError
from vgps_models.progress.footage import open_footage

MESSAGES = {
    RAW: bag_messages.IMAGE,
    COMPRESSED: f"{HEADER}string format\nuint8[] data{STAMP}",
    "vgps_msgs/msg/TaskState": f"{HEADER}string instruction\nuint32 episode\nbool success{STAMP}",
}
PERIOD = 200_000_000
WORDS = "put the spoon on the towel"


def raw(shade: int, encoding: str = "rgb8", pad: int = 0) -> SimpleNamespace:
    """4 rows of 6 pixels: red is the shade, green 10, blue 20."""
    order = {"rgb8": (shade, 10, 20), "bgr8": (20, 10, shade), "bgra8": (20, 10, shade, 255), "mono8": (shade,)}[
        encoding
    ]
    rows = np.tile(np.array(order, np.uint8), (4, 6, 1)).reshape(4, -1)
    rows = np.pad(rows, ((0, 0), (0, pad)))
    return SimpleNamespace(
        header=header(), height=4, width=6, encoding=encoding, is_bigendian=0, step=rows.shape[1], data=rows.tobytes()
    )


def jpeg(shade: int) -> SimpleNamespace:
    buffer = io.BytesIO()
    Picture.fromarray(np.full((8, 8, 3), shade, np.uint8)).save(buffer, "JPEG")
    return SimpleNamespace(header=header(), format="jpeg", data=buffer.getvalue())


class Bag:
    def __init__(self, path: Path) -> None:
        self.path, self.file = path, path.open("wb")
        self.writer = Writer(self.file, chunk_size=4096)
        self.schemas = {name: self.writer.register_msgdef(name, text) for name, text in MESSAGES.items()}

    def say(self, topic: str, kind: str, message: SimpleNamespace, at: int) -> None:
        self.writer.write_message(topic, self.schemas[kind], message, log_time=at, publish_time=at)

    def moment(self, episode: int, step: int, at: int, *, success: bool = False) -> None:
        state = SimpleNamespace(header=header(), instruction=WORDS, episode=episode, success=success)
        self.say("/task/state", "vgps_msgs/msg/TaskState", state, at)
        self.say("/camera/front/image_raw", RAW, raw(10 * step + episode), at + 1)
        self.say("/camera/wrist/image_raw", RAW, raw(10 * step + 100, "bgr8", pad=5), at + 2)

    def close(self) -> Path:
        self.writer.finish()
        self.file.close()
        return self.path


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    made = Bag(tmp_path / "run.mcap")
    for episode in (1, 2):
        for step in range(8):
            made.moment(episode, step, (episode * 10 + step) * PERIOD, success=episode == 2 and step == 7)
    return made.close()


def test_attempts_are_cut_by_the_task_state_and_cameras_have_their_names(bag):
    footage = open_footage(bag)
    assert len(footage) == 2 and not footage.problems
    one, two = footage.scene(0, 4), footage.scene(1)
    assert (one.success, two.success) == (False, True) and one.clip.task == WORDS and len(two.clip) == 8
    assert np.allclose(one.seconds, [0, 0.4, 1.0, 1.4])
    assert one.clip.views["front"][:, 0, 0].tolist() == [[10 * s + 1, 10, 20] for s in (0, 2, 5, 7)]
    assert two.clip.views["wrist"][3, 3, 5].tolist() == [130, 10, 20]  # blue first, and rows are padded
    assert set(footage.scene(0, 3, ["wrist"]).clip.views) == {"wrist"}
    with pytest.raises(UnknownNameError, match="front"):
        footage.scene(0, 3, ["side"])


def test_an_image_belongs_to_the_episode_of_its_stamp_however_it_arrives(tmp_path):
    made = Bag(tmp_path / "run.mcap")
    for episode in (1, 2):
        for step in range(4):
            at = (episode * 10 + step) * PERIOD
            picture = raw(100 * episode + step)
            picture.header = header(at)
            state = SimpleNamespace(header=header(at), instruction=WORDS, episode=episode, success=False)
            made.say("/camera/front/image_raw", RAW, picture, at + 1)  # before the state of the same moment
            made.say("/task/state", "vgps_msgs/msg/TaskState", state, at + 2)
    footage = open_footage(made.close())
    shades = [footage.scene(i).clip.views["front"][:, 0, 0, 0].tolist() for i in range(2)]
    assert len(footage) == 2 and shades == [[100, 101, 102, 103], [200, 201, 202, 203]] and not footage.problems


def test_other_cameras_and_encodings_without_a_task_state(tmp_path):
    made = Bag(tmp_path / "phone.mcap")
    for step in range(5):
        made.say("/phone/compressed", COMPRESSED, jpeg(40 * step), step * PERIOD)
        made.say("/bgra", RAW, raw(40 * step, "bgra8"), step * PERIOD + 3)
    path = made.close()
    with pytest.raises(DataError, match="give --task"):
        open_footage(path)
    scene = open_footage(tmp_path, "open the drawer").scene(0)
    assert scene.success is None and set(scene.clip.views) == {"/phone/compressed", "/bgra"}
    assert np.abs(scene.clip.views["/phone/compressed"][:, 4, 4, 0].astype(int) - 40 * np.arange(5)).max() < 3
    assert scene.clip.views["/bgra"][2, 0, 0].tolist() == [80, 10, 20]


def test_a_bag_that_was_cut_short_is_read_as_far_as_it_goes(bag, tmp_path):
    made = Bag(tmp_path / "long.mcap")
    for step in range(400):
        made.moment(0, step % 10, step * PERIOD)
    made.file.flush()
    whole = made.close().read_bytes()
    (tmp_path / "long.mcap").write_bytes(whole[: len(whole) * 2 // 3])
    footage = open_footage(tmp_path / "long.mcap")
    assert "cut short" in footage.problems[0] and len(footage) == 1
    assert 2 <= len(footage.scene(0).clip) < 400
    bag.write_bytes(bag.read_bytes()[:60])
    with pytest.raises(DataError, match="damaged"):
        open_footage(bag)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"encoding": "bayer_rggb8"}, "bayer_rggb8"),
        ({"height": 9999}, "has 72 bytes"),
        ({"step": 1}, "rows of 1 bytes"),
    ],
)
def test_images_that_lie_about_themselves_are_refused(tmp_path, change, reason):
    made = Bag(tmp_path / "odd.mcap")
    for step in range(3):
        made.say("/cam", RAW, SimpleNamespace(**(vars(raw(step)) | change)), step * PERIOD)
    with pytest.raises(DataError, match=reason):
        open_footage(made.close(), "x").scene(0)
