"""JUnit XML that Ant's schema and that of Jenkins' xUnit plugin allow, whatever happened."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timezone
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from made import evaluation

from vgps_sim.junit import xml
from vgps_sim.requirements import parse
from vgps_sim.results import Condition, Evaluation
from vgps_sim.verdicts import judge

SIDES = ("bare", "guided")
# Of both schemas what both allow: children in their order, with the attributes that must and those that may be there.
CHILDREN = {
    "testsuites": ["testsuite*"],
    "testsuite": ["properties", "testcase*", "system-out", "system-err"],
    "properties": ["property*"],
    "testcase": ["result?"],
}
REQUIRED = {
    "testsuite": {"name", "package", "id", "timestamp", "hostname", "tests", "failures", "errors", "time"},
    "property": {"name", "value"},
    "testcase": {"name", "classname", "time"},
    "failure": {"type"},
    "error": {"type"},
}
OPTIONAL = {"testsuite": {"skipped"}, "failure": {"message"}, "error": {"message"}}
DECIMAL = re.compile(r"\d+\.\d{3}")


def validate(element: Element) -> None:
    tag = element.tag
    assert REQUIRED.get(tag, set()) <= set(element.attrib) <= REQUIRED.get(tag, set()) | OPTIONAL.get(tag, set())
    kinds = ["result" if child.tag in ("failure", "error", "skipped") else child.tag for child in element]
    pattern = "".join(f"(?:{c.rstrip('*?')} ){c[-1] if c[-1] in '*?' else ''}" for c in CHILDREN.get(tag, []))
    assert re.fullmatch(pattern, "".join(f"{kind} " for kind in kinds)), (tag, kinds)
    if "time" in element.attrib:
        assert DECIMAL.fullmatch(element.attrib["time"])
    for child in element:
        validate(child)


def made(texts: list[str], **changes) -> Evaluation:
    found = replace(evaluation({"bare": [0, 1] * 20, "guided": [1, 1] * 20}), wall_seconds=12.5, planned=40, **changes)
    found = replace(found, seconds={"put_spoon_on_towel": 8.25, "put_carrot_on_plate": 4.25})
    return replace(found, verdicts=judge(found, [parse(text, SIDES) for text in texts]))


def suites(found: Evaluation) -> dict[str, Element]:
    root = ElementTree.fromstring(xml(found, made=datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone.utc)))
    validate(root)
    for suite in root:
        cases = suite.findall("testcase")
        counts = {"tests": len(cases)} | {
            f"{tag}s" if tag != "skipped" else tag: len(suite.findall(f"testcase/{tag}"))
            for tag in ("failure", "error", "skipped")
        }
        assert {key: int(suite.attrib[key]) for key in counts} == counts
        assert float(suite.attrib["time"]) == pytest.approx(sum(float(case.attrib["time"]) for case in cases))
        assert suite.attrib["timestamp"] == "2030-01-02T03:04:05"
    assert [suite.attrib["id"] for suite in root] == [str(i) for i in range(len(root))]
    return {suite.attrib["name"]: suite for suite in root}


def test_a_case_for_each_requirement_and_each_task() -> None:
    found = suites(made(["guided-bare>=0", "guided.lower>0.99", "guided>=80%"]))
    requirements, tasks = found["vgps.eval.requirements"], found["vgps.eval.tasks"]
    names = [case.attrib["name"] for case in requirements.findall("testcase")]
    assert names == ["guided-bare>=0", "guided.lower>0.99", "guided>=80%"]
    failures = requirements.findall("testcase/failure")
    assert len(failures) == 1 and "95 % interval" in failures[0].attrib["message"]
    assert [case.attrib["name"] for case in tasks.findall("testcase")] == ["put_spoon_on_towel", "put_carrot_on_plate"]
    assert [case.attrib["time"] for case in tasks.findall("testcase")] == ["8.250", "4.250"]
    assert "bare succeeded in 0 of 20 episodes" in (tasks.findtext("system-out") or "")
    properties = {p.attrib["name"]: p.attrib["value"] for p in requirements.iter("property")}
    assert properties["guided-bare.difference"] == "0.5000" and properties["bare.successes"] == "20 of 40"
    assert properties["command"] == "vgps eval" and properties["guided.k"] == "10"


def test_without_requirements_there_are_the_tasks() -> None:
    assert list(suites(made([]))) == ["vgps.eval.tasks"]


def test_undecided_is_a_failure_that_says_so() -> None:
    found = suites(made(["bare>=0.5"], error_rate=0.05))
    failure = found["vgps.eval.requirements"].find("testcase/failure")
    assert failure is not None and failure.attrib["type"] == "undecided"


def test_what_was_stopped_is_an_error_and_tasks_that_are_not_complete_are_skipped() -> None:
    found = evaluation({"bare": [1, 1, 1], "guided": [1, 1]})
    found = replace(found, stopped="stopped by SIGTERM", planned=3)
    found = replace(found, verdicts=judge(found, [parse("guided>=0.5", SIDES)]))
    parts = suites(found)
    error = parts["vgps.eval.requirements"].find("testcase/error")
    assert error is not None and "SIGTERM" in error.attrib["message"]
    skipped = [case.find("skipped") is not None for case in parts["vgps.eval.tasks"].findall("testcase")]
    assert skipped == [True, False]
    assert parts["vgps.eval.tasks"].findtext("system-err") == "stopped by SIGTERM"
    empty = replace(found, results=(), verdicts=judge(replace(found, results=()), [parse("guided>=0.5", SIDES)]))
    assert suites(empty)["vgps.eval.tasks"].attrib["skipped"] == "2"


def test_an_episode_that_broke_off_is_an_error_of_its_task() -> None:
    found = made([])
    broken = replace(found.results[0], error="RuntimeError: no <more>\x00\x1b[31m & \ud800", success=False)
    found = replace(found, results=(broken, *found.results[1:]), stopped="RuntimeError")
    error = suites(found)["vgps.eval.tasks"].find("testcase/error")
    assert error is not None and "no <more>\ufffd\ufffd[31m & \ufffd" in error.attrib["message"]
    assert f"seed {broken.seed}" in error.attrib["message"]


def test_whatever_users_typed_is_text() -> None:
    evil = Condition("bare", settings={"policy": '"><x>', "note": "a\nb\t\x07", "none": None})
    found = made([])
    found = replace(found, conditions=(evil, found.conditions[1]), command="vgps eval --x '<&>'")
    properties = {p.attrib["name"]: p.attrib["value"] for p in suites(found)["vgps.eval.tasks"].iter("property")}
    assert properties["bare.policy"] == '"><x>' and properties["command"] == "vgps eval --x '<&>'"
