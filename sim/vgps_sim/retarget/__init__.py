"""Motions of a person's arm on a robot's: the same end, and joints that move alike (Visual IRL, 2412.11360)."""
