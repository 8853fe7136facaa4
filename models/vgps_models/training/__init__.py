"""Trainers: each is one function from a frozen config to a checkpoint."""
