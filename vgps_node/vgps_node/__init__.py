"""ROS 2 nodes and the vgps command: the only place that imports rclpy."""

from vgps_node.ros_environment import prepare

prepare()  # before anything of ROS is imported, by whichever module of this package
