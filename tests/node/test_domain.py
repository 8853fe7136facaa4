"""Domains: two graphs of one machine never share one."""

from __future__ import annotations

import pytest

from vgps_node.domain import DOMAINS, own_domain


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
