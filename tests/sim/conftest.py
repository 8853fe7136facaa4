"""Helpers beside these tests can be imported by name, here and in the worker processes that tests start."""

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

# A busy machine is no reason for a property to fail.
settings.register_profile("sim", deadline=None)
settings.load_profile("sim")
