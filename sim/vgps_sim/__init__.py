"""Worlds, arms, tasks, experts and paired evaluation: where everything is proven first."""
