"""Policies: observation -> K action chunks."""
