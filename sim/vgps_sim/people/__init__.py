"""Others at the same tasks: a person's hand, a crane, a trident, tongs. Videos of them, and never an action.

What V-PTR calls video pre-training learns what manipulation looks like from such footage. Nothing here has an arm whose
motors could be told anything: a manipulator is drawn where it should be, and a thing that it holds goes with it; all
other things obey physics.
"""
