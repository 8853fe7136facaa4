"""Which code made a result: that of a checkout, or the commit that pip noted."""

from __future__ import annotations

import json
from importlib import metadata

import pytest

from vgps_sim import provenance

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("noted", "revision"),
    [
        (json.dumps({"url": "https://x", "vcs_info": {"vcs": "git", "commit_id": COMMIT}}), COMMIT[:10]),
        (json.dumps({"url": "file:///x", "dir_info": {}}), "unknown"),
        ("not JSON", "unknown"),
        (None, "unknown"),
    ],
)
def test_what_pip_installed_from_a_repository_has_its_revision(
    monkeypatch: pytest.MonkeyPatch, noted: str | None, revision: str
) -> None:
    monkeypatch.setattr(provenance, "_git", lambda *arguments: None)
    monkeypatch.setattr(metadata.Distribution, "read_text", lambda self, name: noted)
    monkeypatch.setattr(metadata.PathDistribution, "read_text", lambda self, name: noted)
    assert provenance.git_revision() == revision
