"""ros2 launch vgps sim.launch.py [clock:=realtime] [k:=10] [progress.estimator:=none] ...

The nodes and their parameters are those of `vgps up sim`: both read `vgps_node.bringup`.
"""

import sys

from launch import LaunchDescription  # pyright: ignore[reportAttributeAccessIssue]
from launch.actions import DeclareLaunchArgument, OpaqueFunction  # pyright: ignore[reportMissingImports]
from launch.substitutions import LaunchConfiguration  # pyright: ignore[reportMissingImports]
from launch_ros.actions import Node  # pyright: ignore[reportMissingImports]

from vgps_node.advising import ProgressOptions
from vgps_node.bringup import GraphOptions, served_graph
from vgps_node.flat import changed, flatten, from_words

PROGRESS = "progress."
DEFAULTS = GraphOptions().flat() | flatten(ProgressOptions(), PROGRESS)


def make_nodes(context):
    values = from_words(DEFAULTS, {name: LaunchConfiguration(name).perform(context) for name in DEFAULTS})
    progress = changed(ProgressOptions(), values, PROGRESS)
    progress.require()
    return [
        Node(
            package=spec.package,
            executable=spec.name,
            name=spec.name,
            parameters=[dict(spec.parameters)],
            prefix=sys.executable,  # the Python that has found vgps_node
            output="screen",
        )
        for spec in served_graph(GraphOptions.from_flat(values), progress)
    ]


def generate_launch_description():
    arguments = [DeclareLaunchArgument(name, default_value=str(value)) for name, value in DEFAULTS.items()]
    return LaunchDescription([*arguments, OpaqueFunction(function=make_nodes)])
