"""The report says what was found, also when that is nothing, and needs nothing but itself."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made import evaluation

from vgps_sim import report
from vgps_sim.findings import find
from vgps_sim.requirements import parse
from vgps_sim.results import Condition, Evaluation, StepRecord
from vgps_sim.verdicts import judge
from vgps_sim.video import Video


class Page(HTMLParser):
    """Checks that tags are balanced; collects ids, links and text."""

    EMPTY = frozenset({"meta", "line", "rect", "circle", "br", "img"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.EMPTY:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href"):
                self.links.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


CASES = {
    "helped": {"bare": [0] * 20 + [1] * 20, "guided": [1] * 38 + [0] * 2},
    "hurt": {"bare": [1] * 38 + [0] * 2, "guided": [0] * 20 + [1] * 20},
    "unclear": {"bare": [0, 1, 0, 1], "guided": [0, 1, 1, 1]},
    "none": {"bare": [0, 1, 0, 1]},
}


@pytest.mark.parametrize("kind", CASES)
def test_the_finding_is_plain(kind: str) -> None:
    made = evaluation(CASES[kind])
    assert find(made).kind == kind
    line = report.finding(made)
    assert "\n" not in line and "95 % interval" in line
    assert ("helped" in line) == (kind == "helped") and ("hurt" in line) == (kind == "hurt")


def test_few_seeds_prove_nothing_even_when_the_interval_is_above_zero() -> None:
    made = evaluation({"bare": [0] * 40, "guided": [1] * 5 + [0] * 35}, tasks=["t"])
    assert made.pair("guided", "bare").ci95[0] > 0
    assert find(made).kind == "unclear" and "not proven" in report.finding(made)


def test_no_changed_outcome_is_said_so() -> None:
    assert "changed no outcome" in report.finding(evaluation({"bare": [0, 1], "guided": [0, 1]}))


@pytest.mark.parametrize("made", [evaluation(o) for o in CASES.values()] + [evaluation({"bare": [1], "guided": []})])
def test_the_page_is_whole_and_fetches_nothing(made: Evaluation, tmp_path: Path) -> None:
    path = report.write(made, tmp_path)
    html = path.read_text(encoding="utf-8")
    page = Page(html)
    assert all(link.startswith("#") for link in page.links)
    assert not re.search(r"https?://|@import|url\(", html)
    assert find(made).headline in page.text
    assert made.command in page.text and made.git in page.text
    assert json.loads((tmp_path / "result.json").read_text(encoding="utf-8")) == json.loads(json.dumps(made.to_json()))


@pytest.mark.parametrize("sides", [{"bare": [1, 0]}, {"bare": [1, 0], "guided": [0, 1]}])
@pytest.mark.parametrize("error_rate", [None, 0.05])
def test_a_report_without_episodes_says_so(sides: dict, error_rate: float | None, tmp_path: Path) -> None:
    made = replace(evaluation(sides), results=(), stopped="stopped by SIGTERM", error_rate=error_rate, planned=2)
    wanted = parse("bare>=0.5", list(sides))
    made = replace(made, verdicts=judge(made, [wanted]))
    html = report.write(made, tmp_path).read_text(encoding="utf-8")
    page = Page(html)
    assert html.count('<dd class="big">\u2013</dd>') == len(sides) and 'class="whisker"' not in html
    assert "No result" in page.text and "stopped by SIGTERM" in page.text and "undecided" in page.text
    assert "0 of 0" in page.text and "not played" in page.text
    data = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert data["conditions"]["bare"]["rate"] is None and data["conditions"]["bare"]["ci95"] is None
    assert data["conditions"]["bare"]["latency_ms"]["policy"] == {"p50": None, "p99": None}
    assert all(pair["ci95"] is pair["difference"] is pair["mcnemar_p"] is None for pair in data["pairs"].values())


def test_requirements_are_listed_with_their_verdicts(tmp_path: Path) -> None:
    made = evaluation(CASES["helped"])
    wanted = [parse(text, ("bare", "guided")) for text in ("guided-bare>=0", "guided>=0.99")]
    text = Page(report.page(replace(made, verdicts=judge(made, wanted)), tmp_path)).text
    assert "guided-bare>=0" in text and "met" in text and "guided>=0.99" in text and "failed" in text


def test_how_an_interval_was_made_is_said(tmp_path: Path) -> None:
    few, many = evaluation(CASES["unclear"]), evaluation(CASES["helped"])
    assert ", exact" in Page(report.page(few, tmp_path)).text
    assert ", exact" not in Page(report.page(many, tmp_path)).text


def test_every_discordant_seed_is_listed_and_links_to_its_video(tmp_path: Path) -> None:
    made = evaluation(CASES["helped"])
    (tmp_path / "v").mkdir()
    clip = tmp_path / "v" / "clip.mp4"
    clip.write_bytes(b"not looked into")
    pair = made.pair("guided", "bare")
    task, seed = pair.won[3]
    page = Page(report.page(made, tmp_path, [Video(clip, task, seed, {"bare": False, "guided": True}, True)]))
    assert all(str(seed) in page.text for _, seed in (*pair.won, *pair.lost))
    assert [link for link in page.links if link.startswith("#")] == [f"#v-{task}-{seed}"]
    assert f"v-{task}-{seed}" in page.ids
    assert any(link.startswith("data:video/mp4;base64,") for link in page.links)


def test_videos_too_large_to_embed_lie_beside_the_page(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(bytes(report.EMBED_LIMIT + 1))
    html = report.page(evaluation(CASES["helped"]), tmp_path, [Video(clip, "t", 1, {"bare": False}, False)])
    assert 'src="clip.mp4"' in html and "ended otherwise" in html


def test_what_users_typed_is_escaped(tmp_path: Path) -> None:
    made = evaluation(CASES["unclear"])
    evil = Condition("bare", settings={"policy": "<script>alert(1)</script>"})
    made = replace(made, conditions=(evil, *made.conditions[1:]), command="vgps --x '<b>'", notes=("<i>note",))
    html = report.page(made, tmp_path)
    assert "<script>" not in html and "<b>'" not in html and "<i>" not in html.replace('<i class="dot', "")


def test_an_evaluation_that_ended_early_says_why(tmp_path: Path) -> None:
    html = report.page(replace(evaluation(CASES["unclear"]), stopped="value_node died"), tmp_path)
    assert "Ended early" in html and "value_node died" in html


@pytest.mark.parametrize("sides", [["bare"], ["bare", "guided"], ["bare", "guided", "random"]])
def test_without_any_episode_there_is_a_page_and_a_finding(tmp_path: Path, sides: list[str]) -> None:
    made = replace(evaluation({side: [0, 1] for side in sides}), results=(), stopped="the policy cannot be read")
    path = report.write(made, tmp_path)
    text = Page(path.read_text(encoding="utf-8")).text
    assert "the policy cannot be read" in text and text.count("not played") >= len(sides)
    assert report.finding(made)


def test_where_guidance_let_go_and_what_was_broken_is_said(tmp_path: Path) -> None:
    made = evaluation(CASES["unclear"])
    records = (StepRecord(0, {"loop": 1.0}, abstained=True), StepRecord(2, {"loop": 1.0}, dropped=3))
    odd = [replace(r, records=records if (r.condition, r.seed % 2) == ("guided", 1) else ()) for r in made.results]
    text = Page(report.page(replace(made, results=tuple(odd)), tmp_path)).text
    assert "guided: the critic was in doubt in 2 of 4 decisions, in 2 of 4 episodes" in text
    assert "guided: 6 candidates held NaN" in text and "bare: the critic" not in text
