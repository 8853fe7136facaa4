"""ROS 2 messages for bags that tests write: their definitions, and a header."""

from __future__ import annotations

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


def header(at: int = 0) -> SimpleNamespace:
    """at: stamp [ns]."""
    return SimpleNamespace(stamp=SimpleNamespace(sec=at // 10**9, nanosec=at % 10**9), frame_id="")
