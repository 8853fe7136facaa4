"""VGPS as an ament_python package, for colcon. pip uses pyproject.toml at the top of the repository.

The folders beside this file are links into the repository: colcon needs all packages under one root. Python libraries
are not named here: rosdep keys are in package.xml, and docs/how-to/ros2-launch.md says how to get the others.
"""

import os
from glob import glob
from xml.etree import ElementTree

from setuptools import find_packages, setup


def tree(source, target):
    """data_files of every file below a folder."""
    return [
        (
            os.path.normpath(f"{target}/{os.path.relpath(folder, source)}"),
            [f"{folder}/{name}" for name in sorted(names)],
        )
        for folder, _, names in sorted(os.walk(source))
        if names
    ]


MANIFEST = ElementTree.parse("package.xml").getroot()
MAINTAINER = MANIFEST.find("maintainer")

setup(
    name=MANIFEST.findtext("name"),
    version=MANIFEST.findtext("version"),
    description=MANIFEST.findtext("description"),
    license=MANIFEST.findtext("license"),
    maintainer=MAINTAINER.text,
    maintainer_email=MAINTAINER.get("email"),
    packages=find_packages(include=["vgps_*"]),
    package_data={
        "vgps_models": ["checkpoints/*.safetensors", "checkpoints/*.json", "page.css"],
        "vgps_sim": ["assets/*/*", "retarget/maps/*.yaml"],
    },
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/vgps"]),
        ("share/vgps", ["package.xml"]),
        *tree("launch", "share/vgps/launch"),
        ("lib/vgps", sorted(glob("scripts/*"))),  # what `ros2 run vgps` and launch files start
        ("bin", ["scripts/vgps"]),
    ],
    install_requires=["setuptools"],
    zip_safe=False,
)
