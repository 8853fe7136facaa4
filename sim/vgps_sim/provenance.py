"""Which code, which libraries and which machine made a result."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

PACKAGES = ("vgps", "mujoco", "dm-control", "mink", "numpy", "torch", "ros-jazzy-rclpy")


def git_revision() -> str:
    """Short revision of this checkout, "-dirty" when files differ from it, or that pip installed; else "unknown".

    A package that is installed inside somebody else's checkout is outside: the revision there is not of this code.
    """
    if _git("ls-files", "--error-unmatch", Path(__file__).name) is None:
        return _installed_revision() or "unknown"
    return _git("describe", "--always", "--dirty", "--abbrev=10", "--exclude=*") or "unknown"


def _installed_revision() -> str:
    """Of what pip installed from a repository, the short revision that it noted."""
    try:
        noted = metadata.distribution("vgps").read_text("direct_url.json")
        return json.loads(noted or "{}").get("vcs_info", {}).get("commit_id", "")[:10]
    except (metadata.PackageNotFoundError, ValueError, AttributeError):
        return ""


def code_revision() -> str:
    """The git revision, or the version where the code was installed without git."""
    revision = git_revision()
    return revision if revision != "unknown" else f"vgps {_version('vgps') or 'unknown'}"


def _git(*arguments: str) -> str | None:
    """What git answers about the folder of this file; None when it does not."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parent,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def versions() -> dict[str, str]:
    """Versions of what the result depends on, as far as it is installed."""
    found = {package: version for package in PACKAGES if (version := _version(package))}
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {_cpu()}"
    return {"python": platform.python_version()} | found | {"machine": machine}


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown processor"
