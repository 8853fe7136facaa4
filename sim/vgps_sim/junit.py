"""The result of an evaluation as JUnit XML, which CI systems show beside other tests.

Two suites: one test case for each requirement, and one for each task. Only elements and attributes are used that both
the schema of Ant and that of Jenkins' xUnit plugin allow, so numbers stand in the properties and the output of a suite.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable
from datetime import datetime, timezone
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from vgps_sim.requirements import FAILED, MET, Verdict
from vgps_sim.results import Evaluation

NAME = "vgps.eval"
# What XML 1.0 cannot hold: control characters of an error message, halves of surrogate pairs.
ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml(evaluation: Evaluation, *, made: datetime | None = None) -> str:
    """The document as text. `made`: when the evaluation ended, by default now."""
    end = (made or datetime.now(timezone.utc)).astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    tasks, verdicts = evaluation.tasks, evaluation.verdicts
    root = Element("testsuites")
    suites = [("tasks", [_task(task, evaluation) for task in tasks], [_rates(task, evaluation) for task in tasks])]
    if verdicts:
        lines = [f"{v.requirement.text}: {v.state}. {v.reason}." for v in verdicts]
        suites.insert(0, ("requirements", [_requirement(verdict, evaluation) for verdict in verdicts], lines))
    for i, (name, cases, lines) in enumerate(suites):
        suite = SubElement(root, "testsuite", name=f"{NAME}.{name}", package=NAME, id=str(i))
        suite.attrib |= {"timestamp": end, "hostname": platform.node() or "localhost"}
        suite.attrib |= _counted(cases) | {"time": f"{sum(float(case.attrib['time']) for case in cases):.3f}"}
        properties = SubElement(suite, "properties")
        for key, value in _properties(evaluation):
            SubElement(properties, "property", name=_legal(key), value=_legal(value))
        suite.extend(cases)
        SubElement(suite, "system-out").text = _legal("\n".join(lines))
        SubElement(suite, "system-err").text = _legal(evaluation.stopped or "")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _requirement(verdict: Verdict, evaluation: Evaluation) -> Element:
    """Passed when it is met. Undecided is a failure too: nothing shows that it is met."""
    case = Element("testcase", name=_legal(verdict.requirement.text), classname=f"{NAME}.requirements", time="0.000")
    if verdict.state != MET and evaluation.stopped:
        _add(case, "error", "stopped", f"{evaluation.stopped}; {verdict.reason}")
    elif verdict.state != MET:
        kind = "requirement failed" if verdict.state == FAILED else "undecided"
        _add(case, "failure", kind, f"{kind}: {verdict.reason}")
    return case


def _task(task: str, evaluation: Evaluation) -> Element:
    """Passed when its episodes were played to their ends, whatever these were: rates are judged by requirements."""
    case = Element("testcase", name=_legal(task), classname=f"{NAME}.tasks")
    case.set("time", f"{evaluation.seconds.get(task, 0.0):.3f}")
    broken = next((r for r in evaluation.results if r.task == task and r.error is not None), None)
    wanted = sum(t == task for t, _ in evaluation.pairs)
    if broken is not None:
        _add(case, "error", "episode broke off", f"{broken.condition}, seed {broken.seed}: {broken.error}")
    elif any(evaluation.counts(side.name, task)[1] < wanted for side in evaluation.conditions):
        SubElement(case, "skipped")
    return case


def _rates(task: str, evaluation: Evaluation) -> str:
    counts = {side.name: evaluation.counts(side.name, task) for side in evaluation.conditions}
    return f"{task}: " + ", ".join(f"{name} succeeded in {s} of {n} episodes" for name, (s, n) in counts.items())


def _add(case: Element, tag: str, kind: str, message: str) -> None:
    SubElement(case, tag, type=kind, message=_legal(message)).text = _legal(message)


def _counted(cases: Iterable[Element]) -> dict[str, str]:
    cases = list(cases)
    tags = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    return {"tests": str(len(cases))} | {k: str(sum(c.find(t) is not None for c in cases)) for k, t in tags.items()}


def _properties(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Name and value of what a reader of the numbers wants to know, rates and differences among it."""
    found = [("command", evaluation.command), ("git", evaluation.git), ("source", evaluation.source)]
    found += [("seeds", f"{min(evaluation.seeds)} to {max(evaluation.seeds)}"), ("stopped", evaluation.stopped or "no")]
    for side in evaluation.conditions:
        successes, n = evaluation.counts(side.name)
        found.append((f"{side.name}.successes", f"{successes} of {n}"))
        found += [(f"{side.name}.{key}", str(value)) for key, value in side.settings.items()]
    for treatment, baseline in evaluation.comparisons:
        pair = evaluation.pair(treatment, baseline)
        if pair.n:
            low, high = pair.ci95
            name = f"{treatment}-{baseline}"
            found += [(f"{name}.difference", f"{pair.difference:.4f}"), (f"{name}.ci95", f"{low:.4f} to {high:.4f}")]
    return found + [(f"version.{name}", version) for name, version in evaluation.versions.items()]


def _legal(text: str) -> str:
    return ILLEGAL.sub("\ufffd", text)
