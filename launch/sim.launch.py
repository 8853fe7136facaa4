"""The simulated robot under guided control.

    ros2 launch vgps sim.launch.py [clock:=realtime] [k:=10] [progress.estimator:=none] ...
    ros2 launch vgps sim.launch.py --show-args

The nodes and their parameters are those of `vgps up sim`. This file runs under the Python of `ros2`, which need not
have VGPS, and asks the program `describe_graph` of the package.
"""

import json
import os
import subprocess

from ament_index_python.packages import get_package_prefix
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node


def describe(*words):
    """What the package says about its graph."""
    program = os.path.join(get_package_prefix("vgps"), "lib", "vgps", "describe_graph")
    done = subprocess.run([program, "sim", *words], capture_output=True, encoding="utf-8")
    if done.returncode:
        raise RuntimeError(done.stderr.strip() or f"{program} ended with exit code {done.returncode}")
    return json.loads(done.stdout)


def make_nodes(context, names):
    values = {name: LaunchConfiguration(name).perform(context) for name in names}
    return [make_node(node) for node in describe(*(f"{name}:={value}" for name, value in values.items()))]


def make_node(node):
    # The death of this process ends the node, even by SIGKILL; see vgps_node/children.py.
    environment = {**node["environment"], "VGPS_PARENT_PID": str(os.getpid())}
    needed = [] if node["advisory"] else [Shutdown(reason=f"{node['name']} has ended")]
    return Node(
        package=node["package"],
        executable=node["executable"],
        name=node["name"],
        parameters=[node["parameters"]],
        additional_env=environment,
        on_exit=needed,
        output="screen",
        sigterm_timeout="2.5",
        sigkill_timeout="1.0",
    )


def generate_launch_description():
    arguments = describe("--arguments")
    declared = [
        DeclareLaunchArgument(a["name"], default_value=a["default"], description=a["description"], choices=a["choices"])
        for a in arguments
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=make_nodes, args=[[a["name"] for a in arguments]])])
