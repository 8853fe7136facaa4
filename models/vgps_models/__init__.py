"""Spaces, data, policies, critics and training: what learns, and no ROS."""
