"""What `value_node` does, without ROS: encode an observation when it comes, choose when the candidates come."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vgps_models.critics.selection import UNSCORED, SelectionError, drop_invalid, require_rule, select
from vgps_models.errors import VgpsError
from vgps_models.spaces import Observation
from vgps_node.moments import Candidates, Chunk, Moment, Recent, Scores
