"""What endpoints, proxies and thinking models send in place of a plain completion, over real HTTP."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openai")
from vlm_server import Server, Wire, clip, truth_of

from vgps_models.progress import Clip, Estimate
from vgps_models.progress.chat import BudgetError, ChatConfig, ChatError
from vgps_models.progress.chat.ledger import Price
from vgps_models.progress.gvl import GVL, GVLConfig

T, KEY = 8, "sk-very/secret+key"
CLIMB = np.round(np.linspace(0, 1, T), 2)
GZIP = {"Content-Encoding": "gzip"}
Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ChatConfig:
    monkeypatch.setenv("TEST_KEY", KEY)
    return ChatConfig(
        model="test", key_env="TEST_KEY", cache=tmp_path / "cache", backoff_s=0.01, attempts=2, timeout_s=5.0,
        requests_per_minute=0, tokens_per_minute=0, price=Price(1.0, 10.0),
    )  # fmt: skip


@pytest.fixture(scope="module")
def seen() -> Clip:
    return clip()


def ask(config: ChatConfig, seen: Clip, *script: Any, url: str = "", **settings: Any) -> tuple[Estimate, Server]:
    with Server(truth_of(seen, CLIMB), script=script) as server:
        gvl = GVL(GVLConfig(replace(config, base_url=server.url + url), **settings))
        return gvl.estimate(seen), server


def fails(config: ChatConfig, seen: Clip, *script: Any, cut: str = "") -> tuple[str, Server]:
    with Server(truth_of(seen, CLIMB), script=script) as server:
        base_url = server.url.removesuffix(cut)
        with pytest.raises(ChatError) as caught:
            GVL(GVLConfig(replace(config, base_url=base_url))).estimate(seen)
    message = str(caught.value)
    assert len(message) < 700 and KEY not in message and message.isprintable()
    return message, server


def ledger(config: ChatConfig) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (config.cache / "ledger.jsonl").read_bytes().splitlines()]


def changed(change: Change, **wire: Any) -> Callable[[dict[str, Any]], Wire]:
    def make(completion: dict[str, Any]) -> Wire:
        change(completion)
        return Wire(body=json.dumps(completion).encode(), **wire)

    return make


def usage(value: Any) -> Change:
    return lambda completion: completion.update(usage=value)


def content(make: Callable[[str], Any], **message: Any) -> Change:
    def change(completion: dict[str, Any]) -> None:
        said = completion["choices"][0]["message"]
        said.update(content=make(said["content"]), **message)

    return change


@pytest.mark.parametrize(
    "value, tokens",
    [
        ({"prompt_tokens": 900, "completion_tokens": 90, "total_tokens": 990}, (900, 90)),
        ({"prompt_tokens": 900.0, "completion_tokens": "90"}, (900, 90)),
        ({"prompt_tokens": 900, "completion_tokens": 90, "total_tokens": 1500}, (900, 600)),  # the rest is thinking
        ({"prompt_tokens": 900, "completion_tokens": 90, "total_tokens": 10}, (900, 90)),
        ({"prompt_tokens": 900, "total_tokens": 1000}, (900, 100)),
        ({"completion_tokens": 90, "total_tokens": 1000, "prompt_tokens": None}, (910, 90)),
        ({"input_tokens": 900, "output_tokens": 90}, (900, 90)),
    ],
)
def test_tokens_that_the_endpoint_reports_are_counted(config, seen, value, tokens):
    made, server = ask(config, seen, changed(usage(value)))
    (line,) = ledger(config)
    assert np.allclose(made.values, CLIMB) and server.requests == 1 and made.usage.estimated == 0
    assert (line["input_tokens"], line["output_tokens"]) == tokens and line["estimated"] is False
    assert line["cost_usd"] == pytest.approx(made.usage.cost_usd) == pytest.approx((tokens[0] + 10 * tokens[1]) / 1e6)


@pytest.mark.parametrize(
    "value",
    [
        None, {}, [], "many", 7, {"prompt_tokens": None, "completion_tokens": None}, {"prompt_tokens": 0},
        {"prompt_tokens": -5, "completion_tokens": float("nan")}, {"prompt_tokens": 1e300, "completion_tokens": True},
        {"prompt_tokens": "a lot", "completion_tokens": [1]}, {"total_tokens": -1}, {"total_tokens": "Infinity"},
    ],
)  # fmt: skip
def test_a_good_answer_without_usage_is_kept_paid_once_and_its_tokens_are_estimated(config, seen, value):
    with Server(truth_of(seen, CLIMB), script=[changed(usage(value))]) as server:
        gvl = GVL(GVLConfig(replace(config, base_url=server.url)))
        made, again = gvl.estimate(seen), gvl.estimate(seen)
    (line,) = ledger(config)
    assert np.allclose(made.values, CLIMB) and server.requests == 1 and again.usage.cached == 1
    assert made.usage.estimated == 1 and line["estimated"] is True and "estimated" in str(made.usage)
    # 8 pictures at 260 tokens and some words go in; an entry of a frame is some 50 characters, at 4 a token.
    assert 8 * 260 < line["input_tokens"] < 8 * 260 + 600 and 60 < line["output_tokens"] < 150
    assert line["cost_usd"] == pytest.approx((line["input_tokens"] + 10 * line["output_tokens"]) / 1e6)


def test_one_count_alone_and_no_usage_at_all(config, seen):
    made, _ = ask(config, seen, changed(lambda completion: completion.pop("usage")))
    assert np.allclose(made.values, CLIMB) and made.usage.estimated == 1
    ask(replace(config, cache=config.cache / "b"), seen, changed(usage({"total_tokens": 1234.0})))
    (line,) = ledger(replace(config, cache=config.cache / "b"))
    assert line["input_tokens"] + line["output_tokens"] == 1234 and line["estimated"]
    ask(replace(config, cache=config.cache / "c"), seen, changed(usage({"prompt_tokens": 900})))
    (line,) = ledger(replace(config, cache=config.cache / "c"))
    assert line["input_tokens"] == 900 and 60 < line["output_tokens"] < 150 and line["estimated"]


def parts(*before: dict[str, Any]) -> Callable[[str], Any]:
    return lambda text: [*before, {"type": "text", "text": text[:30]}, {"type": "text", "text": text[30:]}]


DRAFT = '{"frames": [{"frame": 1, "description": "x", "completion": 3}]}'
FULL_DRAFT = json.dumps({"frames": [{"frame": i, "completion": 0} for i in range(1, T)]})


@pytest.mark.parametrize(
    "change",
    [
        content(parts()),
        content(lambda text: [text]),
        content(lambda text: {"type": "text", "text": text}),
        content(parts({"type": "reasoning", "text": FULL_DRAFT}, {"type": "thinking", "thinking": FULL_DRAFT})),
        content(parts({"type": "thinking", "thinking": [{"type": "text", "text": FULL_DRAFT}]})),
        content(parts({"type": "thinking", "thinking": None})),
        content(lambda text: [{"type": "output_text", "text": {"value": text}}]),
        content(lambda text: f"Here is my estimate:\n\n```json\n{text}\n```\nTell me if you need more."),
        content(lambda text: f"```\n{text}\n```"),
        content(lambda text: f"```json\r\n{text}"),
        content(lambda text: f"For instance {DRAFT} would be a form; mine is {text} {{sic}}"),
        content(lambda text: f'{text}\n{{"note": "the light changes"}}'),
        content(lambda text: f"<think>\nFirst {FULL_DRAFT}, or so.\n</think>\n\n{text}"),
        content(lambda text: f"First {FULL_DRAFT}, or so.</think>{text}"),
        content(lambda text: f"<thinking>{FULL_DRAFT}</thinking>```json\n{text}\n```"),
        content(lambda text: "\ufeff\n " + text),
        content(str, reasoning_content=FULL_DRAFT),
        content(lambda text: None, reasoning_content="x"),  # see below: the text is put into its place
        content(lambda text: "", reasoning="x"),
    ],
)
def test_an_answer_is_found_wherever_a_model_puts_it(config, seen, change):
    def moved(completion: dict[str, Any]) -> None:
        text = completion["choices"][0]["message"]["content"]
        change(completion)
        message = completion["choices"][0]["message"]
        for name in ("reasoning_content", "reasoning"):
            if message.get(name) == "x":
                message[name] = text

    made, server = ask(config, seen, changed(moved))
    assert np.allclose(made.values, CLIMB) and made.failures == () and server.requests == 1


@pytest.mark.parametrize(
    "change, finish, why",
    [
        (content(lambda text: None, refusal="I will not look at people."), "stop", "I will not look at people"),
        (content(lambda text: [{"type": "refusal", "refusal": "Not this one."}]), "stop", "Not this one"),
        (content(lambda text: None), "content_filter", "content filter"),
        (content(lambda text: "Blocked: minors"), "SAFETY", "Blocked: minors"),
        (content(lambda text: None), "length", "max_output_tokens"),
        (content(lambda text: f"<think>{FULL_DRAFT} but"), "length", "max_output_tokens"),
        (content(lambda text: None, reasoning_content=FULL_DRAFT), "max_tokens", "max_output_tokens"),
        (content(lambda text: None), "tool_calls", "tool_calls"),
        (content(lambda text: ""), None, "empty"),
        (content(lambda text: "I see an arm and a spoon."), "stop", "I see an arm and a spoon"),
        (content(lambda text: DRAFT), "stop", "missing: 2"),
        (content(lambda text: "[" * 100_000), "stop", "no JSON"),
        (content(lambda text: '{"a":' * 5_000), "stop", "no JSON"),
    ],
)
def test_an_answer_that_is_none_gives_the_models_own_words(config, seen, change, finish, why):
    def said(completion: dict[str, Any]) -> None:
        change(completion)
        completion["choices"][0]["finish_reason"] = finish

    made, server = ask(config, seen, changed(said), repairs=0)
    assert made.failed and why in made.failures[0] and server.requests == 1 and len(ledger(config)) == 1


def events(completion: dict[str, Any], *, last: str = "[DONE]", role: str = "content") -> bytes:
    """The completion as a stream of three deltas, with a comment, as routers send it."""
    text = completion["choices"][0]["message"]["content"]
    pieces = (text[:10], text[10:50], text[50:])
    deltas = [{"choices": [{"index": 0, "delta": {role: piece}, "finish_reason": None}]} for piece in pieces]
    deltas.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    deltas.append({"choices": [], "usage": completion["usage"]})
    lines = [f"data: {json.dumps(delta)}" for delta in deltas] + ([f"data: {last}"] if last else [])
    return (": PROCESSING\n\n" + "\n\n".join(lines) + "\n\n").encode()


@pytest.mark.parametrize(
    "make",
    [
        lambda c: Wire(body=events(c), content_type="text/event-stream"),
        lambda c: Wire(body=events(c, last=""), content_type="text/event-stream; charset=utf-8"),
        lambda c: Wire(body=events(c).replace(b"\n", b"\r\n"), content_type="application/json"),
        lambda c: Wire(body=b"data: " + json.dumps(c).encode() + b"\n\n", content_type="text/event-stream"),
        lambda c: Wire(body=gzip.compress(json.dumps(c).encode()), headers=GZIP),
        lambda c: Wire(body=b"\xef\xbb\xbf" + json.dumps(c).encode()),
        lambda c: Wire(body=b"\n \n  " + json.dumps(c).encode(), content_type="text/plain"),
        lambda c: Wire(body=json.dumps([c]).encode(), content_type="application/octet-stream"),
    ],
)
def test_an_answer_is_read_whatever_the_wire_looks_like(config, seen, make):
    made, server = ask(config, seen, make)
    assert np.allclose(made.values, CLIMB) and server.requests == 1
    assert made.usage.input_tokens == 1000 and made.usage.output_tokens == 100 and not made.usage.estimated


PAGE = (
    b"<!DOCTYPE html><html><head><title>Sign in &middot; Proxy</title><script>var a = '<p>x</p>';</script>"
    b"<style>p {color: red}</style></head><body><h1>Your session has ended</h1></body></html>"
)


@pytest.mark.parametrize(
    "wire, words",
    [
        (Wire(body=b'{"error": {"message": "The model is loading.", "type": "loading"}}'), "The model is loading."),
        (Wire(body=b'{"error": "out of memory"}'), "out of memory"),
        (Wire(body=b'{"detail": "Worker died"}'), "Worker died"),
        (Wire(body=b'{"detail": [{"loc": ["body"], "msg": "field required"}]}'), "field required"),
        (Wire(body=b'{"object": "error", "message": "prompt too long", "code": 503}'), "503 prompt too long"),
        (Wire(body=b'{"choices": [], "message": "nothing came"}'), "nothing came"),
        (Wire(body=b'{"choices": null}'), "no chat completion"),
        (Wire(body=b'{"choices": [{"message": null, "error": {"message": "upstream gone"}}]}'), "upstream gone"),
        (Wire(body=b'{"error": {"message": "Provider error", "metadata": {"raw": "GPU fell off"}}}'), "GPU fell off"),
        (Wire(body=b'data: {"error": {"message": "no stream"}}\n\n', content_type="text/event-stream"), "no stream"),
        (Wire(body=b'"busy"'), "busy"),
        (Wire(body=b"null"), "no chat completion"),
        (Wire(body=b"Bad Gateway"), "Bad Gateway"),
        (Wire(body=PAGE, content_type="text/html"), "an HTML page: Sign in \u00b7 Proxy Your session has ended"),
        (Wire(body=PAGE, content_type="application/json"), "Your session has ended"),
        (Wire(status=503, body=PAGE, content_type="text/html"), "503 an HTML page: Sign in"),
        (Wire(), "empty body"),
        (Wire(status=500), "500 an empty body"),
        (Wire(status=500, body=b'{"error": {"message": "\\u001b[31mred\\u0007 alert"}}'), "red alert"),
        (Wire(status=502, body="Zeit\u00fcberschreitung".encode("latin-1"), content_type="text/plain"), "Zeit"),
        (Wire(status=500, body=b"x" * 100_000), "xxx ..."),
        (Wire(body=b'{"choices": ["' + b"[" * 100_000), "breaks off"),
    ],
)  # fmt: skip
def test_what_stands_in_place_of_an_answer_is_asked_again_and_then_repeated_in_its_own_words(config, seen, wire, words):
    made, server = ask(config, seen, lambda _: wire)
    assert np.allclose(made.values, CLIMB) and server.requests == 2
    message, server = fails(replace(config, cache=config.cache / "b"), seen, *[lambda _: wire] * 2)
    assert words in message and "2 attempts" in message and server.requests == 2


@pytest.mark.parametrize(
    "wire, words",
    [
        (Wire(401, b'{"error": {"message": "Incorrect key: sk-very/secret+key."}}'), "key in the environment"),
        (Wire(401, b'{"error": {"message": "bad: sk-very%2Fsecret%2Bkey"}}'), "bad: ***"),
        (Wire(403, b"Bearer SK-VERY/SECRET+KEY may not", "text/plain"), "Bearer *** may not"),
        (Wire(403, b'{"detail": "Authorization: Bearer other-token"}'), "Bearer ***"),
        (Wire(402, b'{"error": {"message": "Insufficient credits"}}'), "no credit left"),
        (Wire(429, b'{"error": {"message": "Over the quota", "code": "insufficient_quota"}}'), "no credit left"),
        (Wire(404, b'{"error": {"message": "model test not found"}}'), "serve the model 'test'"),
        (Wire(404, b"404 page not found", "text/plain"), "404 page not found"),
        (Wire(400, b'[{"error": {"code": 400, "message": "key not valid", "status": "INVALID"}}]'), "key not valid"),
        (Wire(400, b'{"error": {"message": "response_format json_schema is not supported"}}'), "strict to false"),
        (Wire(413, b"<html><h1>413 Request Entity Too Large</h1></html>", "text/html"), "fewer frames"),
        (Wire(422, b'{"detail": [{"msg": "extra fields not permitted"}]}'), "extra fields not permitted"),
        (Wire(200, b'{"error": {"message": "no such model", "code": 404}}'), "refuses (404): no such model"),
        (Wire(200, b'{"error": {"message": "unpaid", "code": "402"}}'), "no credit left"),
    ],
)  # fmt: skip
def test_what_cannot_help_is_not_asked_again_and_says_what_to_do(config, seen, wire, words):
    message, server = fails(config, seen, lambda _: wire)
    assert words in message and server.requests == 1
    assert not (config.cache / "ledger.jsonl").exists() and "other-token" not in message


@pytest.mark.parametrize(
    "wire",
    [
        Wire(404, b'{"detail": "Not Found"}'),
        Wire(405, b"Method Not Allowed", "text/plain"),
        Wire(404, PAGE, "text/html"),
        Wire(200, PAGE, "text/html"),
    ],
)
def test_an_address_without_v1_is_noticed(config, seen, wire):
    message, server = fails(config, seen, *[lambda _: wire] * 2, cut="/v1")
    assert f"did you mean {server.url}?" in message


def test_an_address_with_too_much_or_with_nothing_behind_it(config, seen):
    message, _ = fails(replace(config, attempts=1), seen, lambda _: Wire(404, b"Not Found", "text/plain"))
    assert "did you mean" not in message
    with Server({}) as server:
        pass  # it has closed its port
    gone = replace(config, base_url=server.url)
    with pytest.raises(ChatError, match=r"2 attempts.*is the server running"):
        GVL(GVLConfig(gone)).estimate(seen)
    with pytest.raises(ChatError, match="without /chat/completions: "):
        ask(config, seen, lambda _: Wire(404, b"{}"), url="/chat/completions")
    for url in ("localhost:8000/v1", "127.0.0.1:8000/v1", "", "ftp://x/v1", "https://x/v1?key=sk-abc", "http:///v1"):
        with pytest.raises(ChatError, match="base URL") as caught:
            GVL(GVLConfig(replace(config, base_url=url))).estimate(seen)
        assert "sk-abc" not in str(caught.value)


HOUR = "Wed, 21 Oct 2099 07:28:00 GMT"


@pytest.mark.parametrize(
    "headers, said",
    [({"Retry-After": "3600"}, "3600 s (1 h)"), ({"Retry-After": HOUR}, "days"),
     ({"retry-after-ms": "7200000"}, "7200 s (2 h)"), ({"Retry-After": "86400"}, "86400 s (24 h)")],
)  # fmt: skip
@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_of_an_hour_is_said_and_not_waited_for(config, seen, headers, said, status):
    busy = Wire(status, b'{"error": {"message": "Slow down"}}', headers=headers)
    message, server = fails(config, seen, lambda _: busy)
    assert said in message and "Slow down" in message and "120 s" in message and server.requests == 1


@pytest.mark.parametrize(
    "headers",
    [{"Retry-After": "soon"}, {"Retry-After": "-3600"}, {"Retry-After": "nan"}, {"Retry-After": "inf"},
     {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, {"Retry-After": ""}, {"Retry-After": "99 bottles"},
     {"retry-after-ms": "3"}, {"retry-after-ms": "x", "Retry-After": "0.01"}],
)  # fmt: skip
def test_a_wait_that_is_none_is_not_waited_for(config, seen, headers):
    made, server = ask(config, seen, lambda _: Wire(429, b"{}", headers=headers))
    assert np.allclose(made.values, CLIMB) and server.requests == 2


def test_a_long_wait_within_the_limit_is_logged(config, seen, caplog, monkeypatch):
    from vgps_models.progress.chat import client

    monkeypatch.setattr(client, "SAID_FROM_S", 0.05)
    busy = Wire(429, b'{"error": {"message": "Slow down, sk-very/secret+key"}}', headers={"Retry-After": "0.1"})
    with caplog.at_level(logging.WARNING):
        made, _ = ask(config, seen, lambda _: busy)
    assert np.allclose(made.values, CLIMB) and "Slow down, ***; waiting" in caplog.text and KEY not in caplog.text


@pytest.mark.parametrize(
    "make",
    [
        lambda c: Wire(body=json.dumps(c).encode()[:-40]),
        lambda c: Wire(body=json.dumps(c).encode()[:-40], missing=40),
        lambda c: Wire(body=json.dumps(c).encode(), drip_s=0.05),
        lambda c: Wire(body=gzip.compress(json.dumps(c).encode())[:-30], headers=GZIP, missing=30),
        lambda c: Wire(body=events(c)[: -(len(events(c)) // 2)], content_type="text/event-stream"),
    ],
)  # fmt: skip
def test_an_answer_that_breaks_off_is_asked_again_and_the_ledger_counts_both(config, seen, make):
    made, server = ask(replace(config, timeout_s=0.5), seen, make)
    lost, paid = ledger(config)
    assert np.allclose(made.values, CLIMB) and server.requests == 2
    assert lost["lost"] and lost["estimated"] and lost["cost_usd"] > 8 * 260e-6 and "lost" not in paid


def test_an_answer_without_end_is_not_read_to_its_end(config, seen, monkeypatch):
    from vgps_models.progress.chat import client

    monkeypatch.setattr(client, "LARGEST_BODY", 1000)
    message, _ = fails(config, seen, *[lambda _: Wire(body=b" " * 5000)] * 2)
    assert "more than 1000 bytes" in message


def test_the_key_is_in_no_message_log_or_file_whatever_the_endpoint_echoes(config, seen, tmp_path, caplog):
    def echo(completion: dict[str, Any]) -> Wire:
        text = completion["choices"][0]["message"]["content"].replace('"x"', json.dumps(f"I was given {KEY}"))
        completion["choices"][0]["message"]["content"] = text
        return Wire(body=json.dumps(completion).encode())

    with caplog.at_level(logging.DEBUG):
        made, _ = ask(config, seen, echo)
    assert np.allclose(made.values, CLIMB) and KEY not in caplog.text
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 2 and not any(KEY.encode() in path.read_bytes() for path in files)


def test_a_key_with_a_line_end_works_and_one_with_more_is_refused(config, seen, monkeypatch):
    monkeypatch.setenv("TEST_KEY", f" {KEY}\r\n")
    _, server = ask(config, seen)
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    for key in (f"{KEY}\nexport", f"{KEY}\u00e9", "one two"):
        monkeypatch.setenv("TEST_KEY", key)
        with pytest.raises(ChatError, match="TEST_KEY holds more than a key") as caught:
            ask(config, seen)
        assert KEY not in str(caught.value)


def damage_nothing(cache: Path) -> None:
    pass


def answers_is_a_file(cache: Path) -> None:
    cache.mkdir()
    (cache / "answers").write_text("x", encoding="utf-8")


def ledger_is_a_folder(cache: Path) -> None:
    (cache / "ledger.jsonl").mkdir(parents=True)


def ledger_is_garbage(cache: Path) -> None:
    cache.mkdir()
    lines = [b"\xff\xfe\x00", b"[[[[", b'{"cost_usd": "nan"}', b'{"cost_usd": -5}', b'{"cost_usd": null}', b"null"]
    (cache / "ledger.jsonl").write_bytes(b"\n".join(lines) + b'\n{"cost_usd": 0.001}\n{"cost_u')


@pytest.mark.parametrize("damage", [damage_nothing, answers_is_a_file, ledger_is_a_folder, ledger_is_garbage])
def test_damaged_files_of_the_cache_lose_no_answer(config, seen, damage, caplog):
    damage(config.cache)
    made, server = ask(config, seen, shuffles=2)
    assert np.allclose(made.values, CLIMB) and server.requests == 2
    if damage in (answers_is_a_file, ledger_is_a_folder):
        assert str(config.cache) in caplog.text and len(caplog.records) == 1
    if damage is ledger_is_garbage:  # the line that was cut off takes no other with it
        lines = (config.cache / "ledger.jsonl").read_bytes().splitlines()
        assert [json.loads(line)["input_tokens"] for line in lines[-2:]] == [1000, 1000]
        capped = replace(config, budget_usd=0.0109, max_output_tokens=100, cache=config.cache)
        with pytest.raises(BudgetError, match=r"\$0\.0050 spent"):
            ask(capped, seen, shuffles=9)


def test_a_budget_without_a_ledger_or_without_prices_is_refused_before_anything_is_asked(config, seen):
    ledger_is_a_folder(config.cache)
    with Server(truth_of(seen, CLIMB)) as server, pytest.raises(BudgetError, match="cannot be held"):
        GVL(GVLConfig(replace(config, base_url=server.url, budget_usd=1.0))).estimate(seen)
    assert server.requests == 0
    hosted = replace(config, base_url="https://models.example/v1", budget_usd=1.0, price=Price())
    with pytest.raises(ChatError, match=r"price\.input"):
        GVL(GVLConfig(hosted)).estimate(seen)


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", b"null", b'{"text": 5}', b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_answer_is_asked_again(config, seen, damage):
    with Server(truth_of(seen, CLIMB)) as server:
        gvl = GVL(GVLConfig(replace(config, base_url=server.url)))
        gvl.estimate(seen)
        (kept,) = (config.cache / "answers").rglob("*.json")
        for content in (damage, json.dumps(json.loads(kept.read_bytes()) | {"text": None}).encode()):
            kept.write_bytes(content)
            made = gvl.estimate(seen)
            assert np.allclose(made.values, CLIMB) and made.usage.cached == 0
        assert server.requests == 3 and gvl.estimate(seen).usage.cached == 1
