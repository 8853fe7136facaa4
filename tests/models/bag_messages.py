"""ROS 2 messages for bags that tests write: their definitions, and a header."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

HEADER = "std_msgs/Header header\n"
STAMP = """
================================================================================
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
================================================================================
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec"""
IMAGE = f"{HEADER}uint32 height\nuint32 width\nstring encoding\nuint8 is_bigendian\nuint32 step\nuint8[] data{STAMP}"
RULE = "=" * 80
TRANSFORMS = f"""geometry_msgs/TransformStamped[] transforms
{RULE}
MSG: geometry_msgs/TransformStamped
{HEADER}string child_frame_id
geometry_msgs/Transform transform{STAMP}
{RULE}
MSG: geometry_msgs/Transform
geometry_msgs/Vector3 translation
geometry_msgs/Quaternion rotation
{RULE}
MSG: geometry_msgs/Vector3
float64 x
float64 y
float64 z
{RULE}
MSG: geometry_msgs/Quaternion
float64 x
float64 y
float64 z
float64 w"""


def header(at: int = 0, frame: str = "") -> SimpleNamespace:
    """at: stamp [ns]."""
    return SimpleNamespace(stamp=SimpleNamespace(sec=at // 10**9, nanosec=at % 10**9), frame_id=frame)


def transform(parent: str, child: str, position: Sequence[float], turn: Sequence[float]) -> SimpleNamespace:
    """turn: xyzw."""
    vector, quaternion = (SimpleNamespace(**dict(zip("xyzw", values, strict=False))) for values in (position, turn))
    inner = SimpleNamespace(translation=vector, rotation=quaternion)
    return SimpleNamespace(header=header(0, parent), child_frame_id=child, transform=inner)
