"""Domains: two graphs of one machine never share one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vgps_node.domain import DOMAINS, DomainError, claim_node, current_domain, own_domain, require_free


def test_domains_held_at_once_differ_and_are_free_again() -> None:
    with own_domain() as first, own_domain() as second:
        assert first != second and {first, second} <= set(DOMAINS)
    with own_domain() as again:
        assert again == first


def test_the_domain_that_the_user_works_in_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with own_domain() as free:
        pass
    monkeypatch.setenv("ROS_DOMAIN_ID", str(free))
    with own_domain() as domain:
        assert domain != free


def test_a_node_is_in_a_domain_once_and_again_after_its_process_has_ended(tmp_path: Path) -> None:
    with own_domain() as domain:
        code = (
            "import sys; from vgps_node.domain import claim_node\n"
            f"claim_node({domain}, '/gate_node'); print('claimed', flush=True); sys.stdin.read()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other:
            assert other.stdout is not None and other.stdout.readline() == "claimed\n"
            with pytest.raises(DomainError, match=rf"process {other.pid}\) runs /gate_node in ROS domain {domain}"):
                claim_node(domain, "/gate_node")
            require_free(domain, ["/sim_node", "/robot/gate_node"])  # others, and those of another robot, may
            other.kill()
        require_free(domain, ["/gate_node"])
        os.close(claim_node(domain, "/gate_node"))


def test_an_evaluation_leaves_a_domain_alone_in_which_somebody_runs_a_node() -> None:
    with own_domain() as free:
        pass
    lock = claim_node(free, "/sim_node")
    with own_domain() as domain:
        assert domain != free
    os.close(lock)
    with own_domain() as domain:
        assert domain == free


def test_a_domain_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, domain in (("", 0), ("7", 7), (" 12 ", 12)):
        monkeypatch.setenv("ROS_DOMAIN_ID", text)
        assert current_domain() == domain
    monkeypatch.setenv("ROS_DOMAIN_ID", "kitchen")
    with pytest.raises(DomainError, match="'kitchen'"):
        current_domain()
