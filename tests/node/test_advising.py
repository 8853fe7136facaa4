"""Settings of progress: contradictions are refused before anything starts, and a key is never among them."""

from __future__ import annotations

from typing import Any

import pytest

from vgps_models.errors import UnknownNameError, VgpsError
from vgps_node.advising import ESTIMATORS, ProgressOptions
from vgps_node.cli import main
from vgps_node.params import changed, flatten

HOSTED = {"gvl.chat.model": "m", "gvl.chat.base_url": "https://models.example/v1"}


def asking(**settings: Any) -> ProgressOptions:
    return changed(ProgressOptions(estimator="gvl"), {name.replace("__", "."): v for name, v in settings.items()})


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_each_estimator_is_who_it_says(estimator: str) -> None:
    options = ProgressOptions(estimator=estimator)
    assert (options.learned, options.asking) == ("learned" in estimator, "gvl" in estimator)


def test_what_contradicts_itself_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"learned\+gvl"):
        ProgressOptions(estimator="oracle")
    for name, value in {"every": 0, "frames": 2, "period": 0.0}.items():
        with pytest.raises(VgpsError, match=name):
            changed(ProgressOptions(), {name: value})
    with pytest.raises(VgpsError, match="shuffles"):
        asking(gvl__shuffles=0)


def test_a_hosted_model_needs_a_name_a_key_and_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    ProgressOptions().require()  # our own needs nothing
    with pytest.raises(VgpsError, match="which vision-language model"):
        asking().require()
    with pytest.raises(VgpsError, match="OPENAI_API_KEY"):
        asking(**HOSTED).require()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with pytest.raises(VgpsError, match=r"price\.input"):
        asking(**HOSTED).require()
    paid = asking(**HOSTED, gvl__chat__price__input=1.0, gvl__chat__price__output=2.0)
    paid.require()
    assert paid.gvl.chat.budget_usd == 1.0 and "sk-secret" not in str(flatten(paid))
    asking(**HOSTED, gvl__chat__budget_usd=0.0).require()  # no limit is wanted
    monkeypatch.delenv("OPENAI_API_KEY")
    asking(gvl__chat__model="m", gvl__chat__base_url="http://127.0.0.1:8000/v1").require()


def test_vgps_up_says_what_is_missing_before_it_starts_anything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert main(["up", "sim", "--progress", "gvl"]) == 1
    assert "--progress.gvl.chat.model" in capsys.readouterr().err
    assert main(["up", "sim", "--progress", "gvl", "--progress.gvl.chat.model", "m"]) == 1
    error = capsys.readouterr().err
    assert "set the environment variable OPENAI_API_KEY" in error and "starting" not in error
    assert main(["up", "sim", "--progress", "progress"]) == 2
    assert "learned" in capsys.readouterr().err
