"""One critic, five policies: what is trained, what is played, and docs/steering.md made of it."""
