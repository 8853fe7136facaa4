"""GVL against a real HTTP endpoint that answers from truth, and fails in every way that endpoints and models do."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("openai")
from vlm_server import DISORDER, FENCED, Server, clip, truth_of

from vgps_models.errors import DataError
from vgps_models.progress import Clip, Estimate, Example, Usage
from vgps_models.progress.chat import Answer, BudgetError, ChatConfig, ChatError
from vgps_models.progress.chat.ledger import Price
from vgps_models.progress.gvl import GVL, GVLConfig
from vgps_models.progress.gvl.answers import AnswerError, read
from vgps_models.progress.gvl.questions import examples, moments, question, shuffle
from vgps_models.progress.measures import voc

T = 8
KEY = "sk-very-secret"


def climb(frames: int = T) -> np.ndarray:
    return np.round(np.linspace(0, 1, frames), 2)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ChatConfig:
    monkeypatch.setenv("TEST_KEY", KEY)
    return ChatConfig(
        model="test", key_env="TEST_KEY", cache=tmp_path / "cache", backoff_s=0.01, timeout_s=1.0,
        requests_per_minute=0, tokens_per_minute=0, price=Price(1.0, 10.0),
    )  # fmt: skip


def ask(server: Server, config: ChatConfig, seen: Clip, **settings) -> Estimate:
    return GVL(GVLConfig(replace(config, base_url=server.url), **settings)).estimate(seen)


@pytest.mark.parametrize("views", [1, 2])
def test_without_faults_values_are_the_truth_and_ordered(config, views):
    seen = clip(views=views)
    with Server(truth_of(seen, climb())) as server:
        made = ask(server, config, seen, shuffles=3)
    assert np.allclose(made.values, climb()) and np.allclose(made.spread, 0) and voc(made.values) == pytest.approx(1.0)
    assert made.failures == () and made.asked == 3
    assert replace(made.usage, cost_usd=0) == Usage(3, 0, 3000, 300) and made.usage.cost_usd == pytest.approx(0.006)
    orders = [shuffle(T, seed).tolist() for seed in range(3)]
    assert len({tuple(order) for order in orders}) == 3


def test_noise_makes_a_spread_and_its_mean_is_closer(config):
    seen = clip()
    with Server(truth_of(seen, climb()), noise=8.0) as server:
        one, many = (ask(server, config, seen, shuffles=k, seed=s) for k, s in ((1, 100), (24, 0)))
    assert (many.spread[1:-1] > 1e-3).all() and np.allclose(one.spread, 0)
    assert np.abs(many.values - climb()).max() < 0.1


@pytest.mark.parametrize("fault", ["429", "429 soon", "500", "slow", "drop", "not a completion"])
def test_what_the_endpoint_turns_away_is_asked_again(config, fault):
    seen = clip()
    with Server(truth_of(seen, climb()), script=[fault, fault]) as server:
        made = ask(server, config, seen)
        assert server.requests == 3
    assert np.allclose(made.values, climb()) and made.usage.requests == 1


@pytest.mark.parametrize(
    "fault, why",
    [
        ("garbage", "no JSON"), ("refusal", "refused"), ("filtered", "refused"), ("truncated", "cut off"),
        ("missing", "missing: 7"), ("twice", "twice"), ("stranger", "99"), ("out of range", "140"), ("word", "half"),
    ],
)  # fmt: skip
def test_an_unusable_answer_is_repaired_once_or_told_and_never_averaged_in(config, fault, why):
    seen = clip()
    with Server(truth_of(seen, climb()), script=[fault]) as server:
        mended = ask(server, config, seen)
        assert server.requests == 2 and why in server.bodies[1]["messages"][-1]["content"]
    assert np.allclose(mended.values, climb()) and mended.failures == () and mended.usage.requests == 2
    with Server(truth_of(seen, climb()), script=[fault, "", fault]) as server:
        one = replace(config, concurrency=1, cache=config.cache / "b")
        made = ask(server, one, seen, shuffles=2)  # one order fails twice
    assert np.allclose(made.values, climb()) and np.allclose(made.spread, 0)
    assert len(made.failures) == 1 and why in made.failures[0] and made.asked == 2
    with Server(truth_of(seen, climb()), script=[fault] * 2) as server:
        made = ask(server, replace(config, cache=config.cache / "c"), seen)
    assert made.failed and np.isnan(made.spread).all()


@pytest.mark.parametrize("oddity", [DISORDER, FENCED])
def test_order_and_fences_do_not_matter(config, oddity):
    seen = clip()
    with Server(truth_of(seen, climb()), script=[oddity]) as server:
        made = ask(server, config, seen)
        assert server.requests == 1
    assert np.allclose(made.values, climb())


def test_what_was_answered_is_not_asked_again_and_a_damaged_answer_is(config):
    seen = clip()
    with Server(truth_of(seen, climb())) as server:
        first = ask(server, config, seen, shuffles=2)
        again = ask(server, config, seen, shuffles=3)
        assert server.requests == 3 and again.usage.cached == 2 and again.usage.requests == 1
        kept = sorted((config.cache / "answers").rglob("*.json"))
        kept[0].write_text(kept[0].read_text(encoding="utf-8")[:20], encoding="utf-8")
        assert np.allclose(ask(server, config, seen, shuffles=3).values, first.values) and server.requests == 4
        other = replace(config, model="other")
        ask(server, other, seen)
        assert server.requests == 5


def test_the_same_question_twice_at_a_time_is_paid_once(config):
    seen = clip()
    with Server(truth_of(seen, climb())) as server:
        server.delay_s = 0.05
        gvl = GVL(GVLConfig(replace(config, base_url=server.url)))

        async def both() -> list:
            return [made async for made in gvl.estimate_many([("a", seen), ("b", seen)])]

        assert len(asyncio.run(both())) == 2 and server.requests == 1


def test_a_run_that_stops_goes_on_where_it_was(config):
    seen = {str(i): clip(i) for i in range(6)}
    truth = {k: v for c in seen.values() for k, v in truth_of(c, climb()).items()}
    with Server(truth, script=["", "", "", *["500"] * 20]) as server:
        gvl = GVL(GVLConfig(replace(config, base_url=server.url, concurrency=1, attempts=2)))

        got: list[str] = []

        async def collect() -> None:
            async for name, _ in gvl.estimate_many(seen.items()):
                got.append(name)

        with pytest.raises(ChatError, match="2 attempts"):
            asyncio.run(collect())
        assert got == ["0", "1", "2"] and server.requests == 5
        server.script = []
        got.clear()
        asyncio.run(collect())
        assert got == list(seen) and server.requests == 8  # three of them were new


def test_the_budget_holds_also_over_runs_and_loses_nothing(config):
    capped = replace(config, budget_usd=0.06, max_output_tokens=1000, concurrency=1)  # at most about .012 a request
    with Server({k: v for i in range(20) for k, v in truth_of(clip(i), climb()).items()}) as server:
        for _ in range(2):
            with pytest.raises(BudgetError, match="raise the budget"):
                for i in range(40):
                    ask(server, capped, clip(i % 20), seed=i)
        paid = [
            json.loads(line)["cost_usd"]
            for line in (config.cache / "ledger.jsonl").read_text(encoding="utf-8").splitlines()
        ]
        assert len(paid) == server.requests and sum(paid) <= 0.06 and server.requests > 10


def test_no_more_requests_are_under_way_than_allowed(config):
    seen = clip()
    with Server(truth_of(seen, climb())) as server:
        server.delay_s = 0.02
        ask(server, replace(config, concurrency=3), seen, shuffles=9)
        assert server.most_under_way == 3


def test_the_key_is_needed_sent_and_seen_nowhere(config, monkeypatch, tmp_path, caplog):
    seen = clip()
    with Server(truth_of(seen, climb()), script=["401"]) as server:
        with pytest.raises(ChatError, match="401") as caught:
            ask(server, config, seen)
        assert KEY not in str(caught.value) and f"Bearer {KEY}" == server.headers[0]["authorization"]
        ask(server, config, seen)
    assert all(KEY.encode() not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert KEY not in caplog.text and KEY not in repr(config)
    monkeypatch.delenv("TEST_KEY")
    with pytest.raises(ChatError, match="TEST_KEY"):
        GVL(GVLConfig(replace(config, base_url="https://models.example/v1"))).estimate(seen)


def test_examples_and_the_anchor_are_in_the_question():
    before = examples([Example(clip(1, 4), np.array([0.0, 0.25, 0.5, 1.0]))])

    def asked(seed: int = 0, order: int = 0, before: list = before, draw: int = 0):
        return question("put", moments(clip(seed)), shuffle(T, order), before, describe=True, draw=draw)

    words = " ".join(part for message in asked().messages for part in message.parts if isinstance(part, str))
    assert "25 % complete" in words and "first frame, 0 % complete" in words and f"Frame {T - 1}:" in words
    assert asked().key({}) == asked().key({})
    others = [asked(seed=2), asked(order=1), asked(before=[]), asked(draw=1)]
    assert len({other.key({}) for other in (asked(), *others)}) == 5


NAMES = st.sampled_from(["frames", "frame", "completion"])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES = st.recursive(LEAVES, lambda v: st.lists(v, max_size=4) | st.dictionaries(NAMES, v), max_leaves=12)


@given(st.text(max_size=200) | VALUES.map(json.dumps))
def test_whatever_a_model_says_is_read_or_refused(text):
    try:
        values = read(Answer(text, "stop", "", 0, 0), 3)
    except AnswerError as error:
        assert str(error)
    else:
        assert values.shape == (3,) and ((values >= 0) & (values <= 1)).all()


@pytest.mark.parametrize(
    "views, task",
    [({}, "x"), ({"a": np.zeros((2, 4, 4, 3))}, "x"), ({"a": np.zeros((2, 4, 4, 3), np.uint8)}, " "),
     ({"a": np.zeros((2, 4, 4, 3), np.uint8), "b": np.zeros((3, 4, 4, 3), np.uint8)}, "x")],
)  # fmt: skip
def test_a_clip_that_is_none_is_refused(views, task):
    with pytest.raises(DataError):
        Clip(views, task)
