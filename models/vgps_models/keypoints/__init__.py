"""Keypoints of people and things: found in pictures, lifted to 3D by a depth camera, smoothed over time."""
