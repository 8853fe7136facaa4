"""Inverse reinforcement learning: rewards from watching, and how far two rewards are from each other."""
