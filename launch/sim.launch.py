"""ros2 launch vgps sim.launch.py [clock:=realtime] [k:=10] ...

The nodes and their parameters are those of `vgps up sim`: both read `vgps_node.bringup`.
"""

import sys

from launch import LaunchDescription  # pyright: ignore[reportAttributeAccessIssue]
from launch.actions import DeclareLaunchArgument, OpaqueFunction  # pyright: ignore[reportMissingImports]
from launch.substitutions import LaunchConfiguration  # pyright: ignore[reportMissingImports]
from launch_ros.actions import Node  # pyright: ignore[reportMissingImports]

from vgps_node.bringup import GraphOptions, sim_graph

DEFAULTS = GraphOptions().flat()


def make_nodes(context):
    values = {name: type(value)(LaunchConfiguration(name).perform(context)) for name, value in DEFAULTS.items()}
    return [
        Node(
            package=spec.package,
            executable=spec.name,
            name=spec.name,
            parameters=[dict(spec.parameters)],
            prefix=sys.executable,  # the Python that has found vgps_node
            output="screen",
        )
        for spec in sim_graph(GraphOptions.from_flat(values))
    ]


def generate_launch_description():
    arguments = [DeclareLaunchArgument(name, default_value=str(value)) for name, value in DEFAULTS.items()]
    return LaunchDescription([*arguments, OpaqueFunction(function=make_nodes)])
