"""Messages that cannot be decoded are named as what they are, and never stop what can be."""

from __future__ import annotations

import pytest

pytest.importorskip("mcap")
pytest.importorskip("rosbags")
import bag_writing as bags
from bag_writing import RAW, STRING, film

from vgps_models.bags.paths import BagFiles
from vgps_models.bags.reader import messages
from vgps_models.bags.records import Channel, Message, ros_type
from vgps_models.bags.types import decode, decoded
from vgps_models.errors import DataError
from vgps_models.progress.footage import open_footage

GARBLED = "uint8 ???\n\n"
UNKNOWN = [
    ({"schema": "flatbuffer-schema"}, "/front (sensor_msgs/msg/Image): its definition is in the schema encoding "
                                      "'flatbuffer-schema'; ros2msg, ros1msg, ros2idl, omgidl can be read"),
    ({"encoding": "json", "schema": "jsonschema"}, "/front (sensor_msgs/msg/Image) is in the message encoding 'json'"),
    ({"encoding": ""}, "is in the message encoding 'none'"),
    ({"definitions": {RAW: GARBLED}}, "(schema encoding 'ros2msg') cannot be parsed"),
    ({"definitions": {RAW: GARBLED}, "schema": "ros2idl"}, "(schema encoding 'ros2idl') cannot be parsed"),
    ({"definitions": {RAW: "pkg/Missing data\n"}}, "refers to pkg/msg/Missing, which the bag does not define"),
    ({"definitions": {RAW: bags.IDL}, "schema": "ros2idl"}, "does not define sensor_msgs/msg/Image"),
    ({"definitions": {RAW: "uint8 data\n"}}, "/front: its type says sensor_msgs/msg/Image, but its messages lack"),
]  # fmt: skip


@pytest.mark.parametrize(("how", "said"), UNKNOWN, ids=[said[-40:] for _, said in UNKNOWN])
def test_what_cannot_be_decoded_is_named_and_no_obstacle(tmp_path, how, said):
    lost = bags.mcap(tmp_path / "lost.mcap", film(), **how)
    with pytest.raises(DataError) as caught:
        open_footage(lost, "x")
    assert said in str(caught.value).replace("/front its", "/front: its") and "Traceback" not in str(caught.value)
    # The same beside a camera that is whole: another schema of the same type on another topic.
    with (tmp_path / "both.mcap").open("wb") as file:
        writer = bags.McapWriter(file)
        writer.start()
        text = how.get("definitions", {}).get(RAW, bags.definition(RAW))
        one = writer.register_schema(RAW, how.get("schema", "ros2msg"), text.encode())
        two = writer.register_schema(RAW, "ros2msg", bags.definition(RAW).encode())
        ids = (
            writer.register_channel("/front", how.get("encoding", "cdr"), one),
            writer.register_channel("/good", "cdr", two),
        )
        for row in film():
            for number in ids:
                writer.add_message(number, int(row.at), bags.serialized(row, False), int(row.at))
        writer.finish()
    footage = open_footage(tmp_path / "both.mcap", "x")
    assert list(footage.scene(0).clip.views) == ["/good"] and len(footage.problems) == 1
    assert "/front" in footage.problems[0] and "left out" in footage.problems[0]


def test_a_channel_without_a_schema_is_named(tmp_path):
    with pytest.raises(DataError, match=r"/front \(no schema\)"):
        open_footage(bags.mcap(tmp_path / "run.mcap", film(), definitions={RAW: None}), "x")


def test_a_channel_whose_schema_is_not_in_the_file(tmp_path):
    path = tmp_path / "run.mcap"
    with path.open("wb") as file:
        writer = bags.McapWriter(file, use_chunking=False)
        writer.start()
        number = writer.register_channel("/front", "cdr", 7)
        for row in film():
            writer.add_message(number, int(row.at), bags.serialized(row, False), int(row.at))
        writer.finish()
    with pytest.raises(DataError, match=r"/front \(no schema\)"):
        open_footage(path, "x")


@pytest.mark.parametrize(
    ("type", "encoding", "what"),
    [
        ("foxglove.CompressedImage", "protobuf", "a compressed image by Foxglove's schema"),
        ("foxglove.CompressedVideo", "protobuf", "video by Foxglove's schema"),
        ("foxglove.RawImage", "json", "a raw image by Foxglove's schema"),
        ("ffmpeg_image_transport_msgs/msg/FFMPEGPacket", "cdr", "video of ffmpeg_image_transport"),
    ],
)
def test_pictures_in_other_types_are_named_as_what_they_are(tmp_path, type, encoding, what):
    rows = [bags.Row("/fox", type, b"\x0a\x04abcd", row.at) for row in film()]
    path = bags.mcap(tmp_path / "run.mcap", rows, schema="protobuf", encoding=encoding, definitions={type: "x"})
    with pytest.raises(DataError, match=f"/fox is left out: it holds {what} .*{encoding}"):
        open_footage(path, "x")


def test_a_type_that_is_not_standard_and_not_defined(tmp_path):
    rows = bags.in_time(film(), bags.task())
    path = bags.mcap(tmp_path / "run.mcap", rows, definitions={bags.STATE: ""})
    footage = open_footage(path, "x")
    assert len(footage) == 1 and footage.scene(0).success is None
    assert "/task/state is left out" in footage.problems[0] and "not a standard type of ROS" in footage.problems[0]


def message(data: bytes, type: str = STRING, encoding: str = "cdr") -> Message:
    return Message(Channel("/words", type, encoding, "ros2msg", "string data\n"), 0, data)


def test_both_orders_of_bytes():
    assert decode(message(b"\0\1\0\0\3\0\0\0hi\0")).data == "hi"
    assert decode(message(b"\0\0\0\0\0\0\0\3hi\0")).data == "hi"
    assert decode(message(b"\2\0\0\0hi", encoding="ros1")).data == "hi"


def test_bytes_behind_a_message_are_no_obstacle():
    said, end = decoded(message(b"\0\1\0\0\3\0\0\0hi\0" + bytes(9)))
    assert (said.data, end) == ("hi", 11)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "begins with nothing"),
        (b"\0\1", "begins with 00 01"),
        (b"\0\3\0\0\3\0\0\0hi\0", "begins with 00 03 00 00, not as CDR does"),  # PL_CDR
        (b"\0\7\0\0\3\0\0\0hi\0", "not as CDR does"),  # XCDR2
        (b"\0\1\0\0\xff\xff\xff\x7fhi\0", "is damaged"),
        (b"\0\1\0\0\3\0\0\0\xff\xfe\0", "is damaged"),
        (b"\x28\xb5\x2f\xfd\0\0", "not as CDR does"),  # packed, and damaged
    ],
)
def test_a_damaged_message_is_named(data, said):
    with pytest.raises(DataError, match=f"std_msgs/msg/String on /words is damaged .*{'' if 'is d' in said else said}"):
        decode(message(data))


@pytest.mark.parametrize("data", [b"", b"\2", b"\2\0\0\0h", b"\xff\xff\xff\xffhi"])
def test_a_damaged_message_of_ros1_is_named(data):
    with pytest.raises(DataError, match="std_msgs/msg/String on /words is damaged"):
        decode(message(data, encoding="ros1"))


def test_a_definition_that_would_take_forever_is_refused():
    channel = Channel("/words", "p/msg/T", "cdr", "ros2msg", "string[999999999] words\n")
    with pytest.raises(DataError, match="an array of 999999999 elements"):
        decode(Message(channel, 0, b"\0\1\0\0"))


def test_one_damaged_image_is_named_and_the_others_are_read(tmp_path):
    rows = film()
    rows[3] = bags.Row("/front", RAW, bags.serialized(rows[3], False)[:60], rows[3].at)
    path = bags.mcap(tmp_path / "run.mcap", rows)
    assert len(open_footage(path, "x").scene(0, 2).clip) == 2
    with pytest.raises(DataError, match=r"sensor_msgs/msg/Image on /front is damaged"):
        open_footage(path, "x").scene(0)


def test_two_definitions_of_one_type_in_a_bag(tmp_path):
    """As after an update of a package."""
    one = bags.mcap(
        tmp_path / "a.mcap", [bags.Row("/a", "p/msg/T", b"\0\1\0\0\5", 1)], definitions={"p/msg/T": "int8 x"}
    )
    two = bags.mcap(
        tmp_path / "b.mcap", [bags.Row("/a", "p/msg/T", b"\0\1\0\0\5", 2)], definitions={"p/msg/T": "int8 y"}
    )
    said = [decode(message) for message in messages(BagFiles(tmp_path, (one, two)))]
    assert said[0].x == said[1].y == 5


def test_types_go_by_their_names_in_ros2():
    assert ros_type("sensor_msgs/Image") == ros_type("sensor_msgs/msg/Image") == RAW
    assert ros_type("sensor_msgs::msg::dds_::Image_") == RAW
    assert ros_type("foxglove.RawImage") == "foxglove.RawImage" and ros_type("") == ""
