"""Critics: (observation, action chunks) -> scores, and the rules that choose by them."""
