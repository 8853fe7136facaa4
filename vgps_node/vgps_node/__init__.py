"""ROS 2 nodes and the vgps command: the only place that imports rclpy."""
