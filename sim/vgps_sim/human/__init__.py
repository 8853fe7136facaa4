"""A person to watch: a hand with bones under its skin, and where its landmarks really are."""
