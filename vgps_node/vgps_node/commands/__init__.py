"""The commands of `vgps`, a module each: what they take, and which function of the house does it."""
