"""Calibration of cameras, hands and joints (grows in a later release)."""
