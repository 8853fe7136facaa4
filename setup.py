"""The files that make the wheel `vgps` an ament package; everything else is in pyproject.toml."""

from glob import glob

from setuptools import setup

setup(
    data_files=[
        ("share/ament_index/resource_index/packages", ["ros_ws/resource/vgps"]),
        ("share/vgps", ["package.xml"]),
        ("share/vgps/launch", sorted(glob("launch/*.launch.py"))),
        ("share/vgps/launch/config", sorted(glob("launch/config/*"))),
        ("lib/vgps", sorted(glob("vgps_node/scripts/*_node"))),  # what `ros2 run vgps` and launch files start
    ]
)
