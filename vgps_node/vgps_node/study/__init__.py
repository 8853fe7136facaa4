"""The steering study: what is trained, what is played, and the page made of it (docs/steering.md)."""
