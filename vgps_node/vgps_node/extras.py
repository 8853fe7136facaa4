"""Which extra of the package brings which library, and the command that installs it. Imports nothing heavy."""

from __future__ import annotations

from pathlib import Path

from vgps_models.errors import MissingDependencyError

REPOSITORY = Path(__file__).resolve().parents[2]
# Libraries that code of an extra imports without asking, by the name of their module. The others have messages of
# their own where they are imported.
EXTRAS = {
    "accelerate": "train",
    "av": "data",
    "gymnasium": "sim",
    "jinja2": "sim",
    "matplotlib": "study",
    "mink": "sim",
    "mujoco": "sim",
    "pyarrow": "data",
    "rclpy": "ros",
    "safetensors": "models",
    "tokenizers": "models",
    "torch": "models",
    "trossen_arm_sim": "sim",
}


def from_source() -> bool:
    """Whether this code runs from a checkout, where `make setup` installs everything."""
    return (REPOSITORY / "bootstrap.py").is_file()


def mend(extra: str) -> str:
    """The command that installs an extra, or several with commas between them."""
    return "make setup" if from_source() else f"pip install 'vgps[{extra}]'"


def explained(error: ModuleNotFoundError, *, prog: str) -> MissingDependencyError | None:
    """The error as a sentence that says what to install; None where the module belongs to no extra."""
    module = (error.name or "").partition(".")[0]
    if module not in EXTRAS:
        return None
    extra = EXTRAS[module]
    return MissingDependencyError(
        f"{prog} needs the library {module} here, which the extra '{extra}' installs; run {mend(extra)}"
    )
