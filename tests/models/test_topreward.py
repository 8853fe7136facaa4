"""TOPReward against a real HTTP endpoint that answers from truth."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("openai")
from logprob_server import LogprobServer, digests
from vlm_server import Server, Wire, clip, truth_of

from vgps_models.errors import DataError
from vgps_models.progress import Clip, Estimate, Example, Usage
from vgps_models.progress.chat import Answer, BudgetError, ChatConfig, ChatError
from vgps_models.progress.chat.ledger import Price
from vgps_models.progress.clips import each
from vgps_models.progress.measures import voc
from vgps_models.progress.topreward import TOPReward, TOPRewardConfig
from vgps_models.progress.topreward.endpoint import listed, read
from vgps_models.progress.topreward.question import prefix
from vgps_models.progress.topreward.score import spelt

T = 8


def climb(frames: int = T) -> np.ndarray:
    return np.linspace(0.02, 0.97, frames)


@pytest.fixture
def config(tmp_path: Path) -> ChatConfig:
    return ChatConfig(
        model="test", cache=tmp_path / "cache", backoff_s=0.01, timeout_s=1.0, requests_per_minute=0,
        tokens_per_minute=0, price=Price(1.0, 10.0),
    )  # fmt: skip


def make(server: Server, config: ChatConfig, **settings: Any) -> TOPReward:
    return TOPReward(TOPRewardConfig(chat=replace(config, base_url=server.url), **settings))


def ask(server: Server, config: ChatConfig, seen: Clip, **settings: Any) -> Estimate:
    return make(server, config, **settings).estimate(seen)


@pytest.mark.parametrize("views", [1, 2])
def test_the_truth_comes_back_as_the_curve(config, views):
    seen = clip(views=views)
    with LogprobServer(truth_of(seen, climb())) as server:
        made = ask(server, config, seen)
    assert np.allclose(made.values, climb()) and np.allclose(made.spread, 0) and voc(made.values) == pytest.approx(1)
    assert made.failures == () and made.asked == T and made.source == "topreward-1:test"
    assert replace(made.usage, cost_usd=0) == Usage(T, 0, 1000 * T, T)
    assert made.usage.cost_usd == pytest.approx(T * 1010e-6)


def test_a_request_asks_for_one_token_and_shows_the_frames_in_the_order_of_time(config):
    seen = clip(frames=20, views=2)
    order = [list(truth_of(seen.take([t]), [0])) for t in range(20)]  # JPEGs of each moment
    with LogprobServer(truth_of(seen, climb(20))) as server:
        made = ask(server, config, seen, prefixes=5, most_frames=4)
    judged = np.flatnonzero(~np.isnan(made.values))
    assert judged.tolist() == [0, 5, 10, 14, 19] and np.isnan(np.delete(made.spread, judged)).all()
    asked = {digests(body)[-1]: body for body in server.bodies}
    assert len(asked) == server.requests == made.asked == 5
    for t in judged:
        body = asked[order[t][-1]]
        assert digests(body) == [digest for i in prefix(int(t), 4) for digest in order[i]]
        assert body["logprobs"] is True and body["top_logprobs"] == 20 and body["max_tokens"] == 1
        assert "response_format" not in body  # which would hide what else the model would say
        assert seen.task in body["messages"][-1]["content"][-1]["text"]


@given(st.integers(0, 300), st.integers(2, 40))
def test_a_prefix_is_spread_from_the_first_frame_to_the_judged_one(last, most):
    index = prefix(last, most)
    gaps = np.diff(index)
    assert len(index) == min(most, last + 1) and index[0] == 0 and index[-1] == last
    assert not len(gaps) or (gaps.min() >= 1 and np.ptp(gaps) <= 1)


def test_probability_tells_a_failure_from_a_success_and_episode_does_not(config):
    seen = clip()
    with LogprobServer(truth_of(seen, 0.3 * climb())) as server:
        plain, scaled = ask(server, config, seen), ask(server, config, seen, normalise="episode")
        assert server.requests == T  # the same questions
    assert plain.values[-1] == pytest.approx(0.3 * climb()[-1])
    log = np.log(0.3 * climb())
    assert (
        np.allclose(scaled.values, (log - log[0]) / (log[-1] - log[0])) and scaled.source == "topreward-1-episode:test"
    )
    with LogprobServer(truth_of(seen, [0.5] * T)) as server:
        still = replace(config, cache=config.cache / "b")
        assert np.allclose(ask(server, still, seen, normalise="episode").values, 0.0)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_certainty_stays_within_bounds(config, value):
    seen = clip()
    with LogprobServer(truth_of(seen, [value] * T)) as server:
        made = ask(server, config, seen)
    assert np.allclose(made.values, value, atol=1e-6) and ((made.values >= 0) & (made.values <= 1)).all()


def test_noise_moves_values_but_keeps_them_in_bounds(config):
    seen = clip()
    with LogprobServer(truth_of(seen, climb()), noise=1.0) as server:
        made = ask(server, config, seen)
    assert not np.allclose(made.values, climb(), atol=0.02) and ((made.values > 0) & (made.values < 1)).all()


@pytest.mark.parametrize(
    "fault, why",
    [
        ("no logprobs", "no log-probabilities"), ("odd numbers", "no log-probabilities"), ("neither", "'The', 'Yes'"),
        ("one", "1 listed"), ("no list", "1 listed"), ("refusal", "refused"), ("filtered", "refused"),
    ],
)  # fmt: skip
def test_an_unusable_answer_is_a_failure_and_no_value(config, fault, why):
    seen, one = clip(), replace(config, concurrency=1)  # so that the third request is of the third moment
    with LogprobServer(truth_of(seen, climb()), script=["", "", fault]) as server:
        made, scaled = ask(server, one, seen), ask(server, one, seen, normalise="episode")
        assert server.requests == T and made.usage.requests == T  # paid all the same
        server.script = ["", "", fault] + [""] * (T - 3) + [fault] * T
        nothing = ask(server, replace(one, cache=config.cache / "b"), seen)
    (failure,) = made.failures
    assert failure.startswith("frames 0 to 2: ") and why in failure and made.asked == T
    for some in (made, scaled):
        assert np.flatnonzero(np.isnan(some.values)).tolist() == np.flatnonzero(np.isnan(some.spread)).tolist() == [2]
    assert np.allclose(np.delete(made.values, 2), np.delete(climb(), 2))
    assert nothing.failed and len(nothing.failures) == T


def test_a_word_that_is_not_listed_is_no_likelier_than_the_last_that_is(config):
    seen = clip()
    with LogprobServer(truth_of(seen, [0.97] * T), script=["only false"] * T) as server:
        made = ask(server, config, seen)
    assert made.failures == () and np.allclose(made.values, 0.02 / 0.92)


def says(top: dict[str, float], *, shape: str = "chat") -> Callable[[dict[str, Any]], Wire]:
    """An endpoint whose first token has these probabilities. shape: chat | older | dictionary | null | nothing."""

    def make(completion: dict[str, Any]) -> Wire:
        tokens = [{"token": t, "logprob": math.log(p) if p else -9999.0} for t, p in top.items()]
        log = {t["token"]: t["logprob"] for t in tokens}
        first = next(iter(log))
        logprobs: Any = {
            "chat": {"content": [{**tokens[0], "top_logprobs": tokens}]},
            "dictionary": {"content": [{**tokens[0], "top_logprobs": log}]},
            "older": {"tokens": [first], "token_logprobs": [log[first]], "top_logprobs": [log]},
            "null": {"content": None},
            "nothing": {"content": [{"token": first, "logprob": None, "top_logprobs": [None, "x", {}]}]},
        }[shape]
        completion["choices"][0]["logprobs"] = logprobs
        return Wire(body=json.dumps(completion).encode())

    return make


REST = {f"word{i}": 1e-7 for i in range(17)}  # fills the list of 20


@pytest.mark.parametrize(
    "top, probability, words",
    [
        ({"The": 0.9, "True": 0.02, "False": 0.01}, "0.03", "'The'"),
        ({"<think>": 0.999, "True": 1e-6, "False": 1e-9}, "1e-06", "'<think>'"),
        ({"Yes": 0.7, "No": 0.2, " true": 0.04, "FALSE": 0.04}, "0.08", "'Yes', 'No', ' true', 'FALSE'"),
        ({"The": 0.9, "An": 0.0999, "True": 1e-5, **REST}, "1e-05", "'The', 'An', 'True'"),  # one of the two alone
        ({"The": 0.9, "An": 0.0999, "False": 1e-5, **REST}, "1e-05", "'The', 'An', 'False'"),
        ({"0": 1.0, "True": 0.0, "False": 0.0}, "0,", "'0'"),
    ],
)
@pytest.mark.parametrize("normalise", ["probability", "episode"])
def test_where_both_words_are_improbable_there_is_no_value(config, top, probability, words, normalise):
    seen = clip(frames=2)
    with LogprobServer(truth_of(seen, climb(2)), script=[says(top)] * 2) as server:
        made = ask(server, config, seen, normalise=normalise)
        assert made.failed and np.isnan(made.spread).all() and len(made.failures) == 2 and made.usage.requests == 2
        assert f"together have a probability of {probability}" in made.failures[0] and words in made.failures[0]
        taken = ask(server, config, seen, normalise=normalise, least_probability=0.0)
        assert not taken.failed and server.requests == 2  # the answers are in the cache


@pytest.mark.parametrize(
    "top, value",
    [
        ({" True": 0.4, "true": 0.2, "TRUE": 0.15, "False": 0.2, " false.": 0.05}, 0.75),
        ({"\u0120True": 0.6, "\u2581False": 0.2, "**True": 0.1, "Falsehood": 0.1}, 0.7 / 0.9),
        ({'"False"': 0.9, "True,": 0.1}, 0.1),
        ({"True": 0.9, "The": 0.0999, **REST}, 1.0),  # False is not among the first 20: it has next to nothing
        ({"False": 0.3, "The": 0.6999, **REST}, 0.0),
        ({"True": 1.0, "False": 0.0}, 1.0),
    ],
)
def test_every_spelling_of_the_words_counts(config, top, value):
    seen = clip(frames=2)
    with LogprobServer(truth_of(seen, climb(2)), script=[says(top)] * 2) as server:
        made = ask(server, config, seen)
    assert made.failures == () and np.allclose(made.values, value, atol=1e-5)


@pytest.mark.parametrize(
    "shape, value", [("chat", 0.8), ("older", 0.8), ("dictionary", 0.8), ("null", None), ("nothing", None)]
)
def test_log_probabilities_in_other_shapes(config, shape, value):
    seen = clip(frames=2)
    with LogprobServer(truth_of(seen, climb(2)), script=[says({"True": 0.8, "False": 0.2}, shape=shape)] * 2) as server:
        made = ask(server, config, seen)
    if value is None:
        assert made.failed and "no log-probabilities" in made.failures[0]
    else:
        assert np.allclose(made.values, value)


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["True", "False", " The"])
NAMES = st.sampled_from(["content", "token", "logprob", "top_logprobs", "tokens", "token_logprobs"])
VALUES = st.recursive(LEAVES, lambda v: st.lists(v, max_size=3) | st.dictionaries(NAMES, v, max_size=4), max_leaves=15)


@given(VALUES)
def test_whatever_stands_for_log_probabilities_is_read_or_a_failure(value):
    score = read(Answer(json.dumps(listed(value)), "stop", "", 1, 1)).at_least(0.25)
    assert score.failure or math.isfinite(score.log_true - score.log_false)


@pytest.mark.parametrize("fault", ["429", "429 soon", "500", "slow", "drop", "not a completion"])
def test_what_the_endpoint_turns_away_is_asked_again(config, fault):
    seen = clip()
    with LogprobServer(truth_of(seen, climb()), script=[fault, fault]) as server:
        made = ask(server, config, seen)
        assert server.requests == T + 2
    assert np.allclose(made.values, climb()) and made.usage.requests == T


def test_what_was_answered_costs_nothing_again(config):
    seen = clip()
    with LogprobServer(truth_of(seen, climb())) as server:
        first, again = ask(server, config, seen), ask(server, config, seen)
        assert server.requests == T and again.usage == Usage(cached=T) and (first.values == again.values).all()
        more = ask(server, config, seen, most_frames=3)
        assert more.usage.cached == 3  # prefixes of no more than 3 frames are the same questions
        ask(server, replace(config, model="other"), seen)
        assert server.requests == T + (T - 3) + T


def test_a_run_that_stops_goes_on_where_it_was_and_pays_once(config):
    seen = {str(i): clip(i) for i in range(3)}
    truth = {k: v for c in seen.values() for k, v in truth_of(c, climb()).items()}
    stop = T + 3  # in the middle of the second clip
    with LogprobServer(truth, script=[""] * stop + ["500"] * 100) as server:
        estimator = make(server, config, prefixes=T)
        got = []
        with pytest.raises(ChatError, match="attempts"):
            got.extend(name for name, _ in each(estimator, seen.items()))
        answered = len(list((config.cache / "answers").rglob("*.json")))
        assert answered == stop
        server.script, before = [], server.requests
        made = dict(each(estimator, seen.items()))
        assert server.requests - before == 3 * T - stop
    assert list(made) == list(seen) and all(np.allclose(m.values, climb()) for m in made.values())
    assert len((config.cache / "ledger.jsonl").read_text(encoding="utf-8").splitlines()) == 3 * T


def test_a_killed_run_has_paid_for_one_unseen_answer_at_most(config):
    run = (
        "import sys; import numpy as np; from pathlib import Path\n"
        "from vgps_models.progress import Clip\n"
        "from vgps_models.progress.chat import ChatConfig\n"
        "from vgps_models.progress.topreward import TOPReward, TOPRewardConfig\n"
        "chat = ChatConfig(model='test', base_url=sys.argv[1], cache=Path(sys.argv[2]), concurrency=1)\n"
        "TOPReward(TOPRewardConfig(chat=chat)).estimate(Clip({'view0': np.load(sys.argv[3])}, sys.argv[4]))"
    )
    seen, images = clip(), config.cache.with_name("images.npy")
    np.save(images, seen.views["view0"])
    with LogprobServer(truth_of(seen, climb())) as server:
        server.delay_s = 0.1
        process = subprocess.Popen([sys.executable, "-c", run, server.url, str(config.cache), str(images), seen.task])
        while server.requests < 5 and process.poll() is None:
            time.sleep(0.01)
        process.kill()
        assert process.wait() < 0 and server.requests == 5  # while the fifth is under way
        server.delay_s = 0.0
        made = ask(server, config, seen)
        assert server.requests == T + 1 and made.usage.cached == 4
    assert np.allclose(made.values, climb())


def test_the_budget_holds_and_loses_nothing(config):
    capped = replace(config, budget_usd=0.02, concurrency=1)  # about .001 a request
    clips = [(str(i), clip(i)) for i in range(6)]
    truth = {k: v for _, c in clips for k, v in truth_of(c, climb()).items()}
    with LogprobServer(truth) as server:
        for _ in range(2):
            with pytest.raises(BudgetError, match="raise the budget"):
                list(each(make(server, capped), clips))
        paid = [
            json.loads(line)["cost_usd"]
            for line in (config.cache / "ledger.jsonl").read_text(encoding="utf-8").splitlines()
        ]
        assert len(paid) == server.requests > 10 and sum(paid) <= 0.02


def test_no_more_requests_are_under_way_than_allowed(config):
    seen = clip()
    with LogprobServer(truth_of(seen, climb())) as server:
        server.delay_s = 0.02
        ask(server, replace(config, concurrency=3), seen)
        assert server.most_under_way == 3


def test_the_rate_holds_over_the_clips_of_a_run(config):
    clips = [(str(i), clip(i, frames=2)) for i in range(3)]
    truth = {k: v for _, c in clips for k, v in truth_of(c, climb(2)).items()}
    with LogprobServer(truth) as server:
        slow = make(server, replace(config, requests_per_minute=4.0))

        async def first_two() -> int:
            answers = slow.estimate_many(clips)
            for _ in range(2):
                await anext(answers)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(anext(answers), 0.3)  # the fifth request has to wait 15 s
            return server.requests

        assert asyncio.run(first_two()) == 4


def test_settings_and_clips_that_cannot_be_judged_are_refused(config):
    for prefixes, most_frames in ((1, 16), (16, 1)):
        with pytest.raises(ValueError, match="at least 2"):
            TOPReward(TOPRewardConfig(chat=config, prefixes=prefixes, most_frames=most_frames))
    estimator = TOPReward(TOPRewardConfig(chat=replace(config, base_url="http://127.0.0.1:1/v1")))
    with pytest.raises(DataError, match="no examples"):
        estimator.estimate(clip(), [Example(clip(1), climb())])
    with pytest.raises(DataError, match="two frames"):
        estimator.estimate(clip(frames=1))


@given(st.sampled_from(["", " ", "\n", "  "]), st.sampled_from(["true", "True", "TRUE", "false", "False", "FALSE"]))
def test_spellings_of_the_words(space, word):
    assert spelt(space + word) is (word.lower() == "true") and spelt(word + "r") is None
