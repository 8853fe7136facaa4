"""A policy of the user's own is found, checked and played; what is wrong with it is said, and is no failed episode."""

from __future__ import annotations

import json
import sys
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest

from vgps_models.errors import SpecError
from vgps_models.selection import Selection
from vgps_models.spaces import Decision, Observation
from vgps_node.commands.evaluation import evaluate
from vgps_node.eval_config import EvalConfig
from vgps_node.own_policy import ChunkError, OwnPolicy, OwnPolicyError
from vgps_sim.results import EvaluationError

SOURCE = '''
import functools, sys
import numpy as np
from vgps_models.checkpoint import read_card
from vgps_models.policies.base import Proposal
from vgps_models.spaces import Decision, noise

CALLS = []

def act(observation):
    return noise(observation.key, (4, 7)) * 0.01

def make():
    return act

def decide(observation):
    chunk = np.zeros((2, 7))
    return Decision(chunk, chunk[None], ms={"policy": 1.5})

class Proud:
    def __call__(self, observation):
        return [[0, 0, 0.01, 0, 0, 0, 1]]

class Sampler:
    """Moves at random, with the actions that the shipped critic knows."""

    def __init__(self):
        card = read_card("policy")
        self.spec, self.normaliser = card.spec, card.normaliser

    def sample(self, observation, k):
        return Proposal(noise(observation.key, (k, 4, 7)).astype(float) * 0.01)

class Bare:
    def sample(self, observation, k):
        return noise(observation.key, (k, 4, 7))

class Few(Bare):
    def sample(self, observation, k):
        return noise(observation.key, (1, 4, 7))

def bound(scale, observation):
    return np.full((4, 7), scale)

half = functools.partial(bound, 0.005)
number = 5

def none(observation): return None
def flat(observation): return np.zeros(7)
def wide(observation): return np.zeros((4, 8))
def empty(observation): return np.zeros((0, 7))
def words(observation): return "forward"
def nan(observation): return np.full((4, 7), np.nan)
def raises(observation): raise RuntimeError("no camera")
def leaves(observation): sys.exit(0)
def two(one, other): ...
def keyword(*, observation): ...
def makes_number(): return 3
def makes_nothing(): raise OSError("no weights")
class Needs:
    def __init__(self, weights): ...
'''


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory):
    """The name of an importable module with all of the above."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own_things.py").write_text(SOURCE, encoding="utf-8")
    (folder / "own_broken.py").write_text("def make(:\n", encoding="utf-8")
    (folder / "own_leaves.py").write_text("import sys; sys.exit(0)", encoding="utf-8")
    sys.path.insert(0, str(folder))
    yield "own_things"
    sys.path.remove(str(folder))


def observation(step: int = 0) -> Observation:
    image = np.zeros((128, 128, 3), np.uint8)
    return Observation(
        {"front": image, "wrist": image}, np.zeros(10, np.float32), "put the spoon on the towel", 0, (5, step)
    )


def parsed(text: str) -> OwnPolicy:
    own = OwnPolicy.parse(text)
    assert own is not None
    return own


@pytest.mark.parametrize("name", ["act", "make", "decide", "Proud", "half"])
def test_a_function_or_what_makes_one_is_a_controller(module: str, name: str) -> None:
    own = parsed(f"{module}:{name}")
    own.require()
    decision = ForkingPickler.loads(ForkingPickler.dumps(own))()(observation())  # pyright: ignore[reportAttributeAccessIssue]
    assert isinstance(decision, Decision) and decision.chunk.shape[1] == 7 and decision.ms["policy"] > 0


@pytest.mark.parametrize(
    "text", ["policy", "runs/new.safetensors", "runs/a:b.safetensors", "./a:b", "a:", ":b", "1a:b", ""]
)
def test_checkpoints_are_no_functions(text: str) -> None:
    assert OwnPolicy.parse(text) is None


def test_a_file_of_that_name_is_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert OwnPolicy.parse("a:b") is not None
    Path("a:b").touch()
    assert OwnPolicy.parse("a:b") is None


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("number", "is int; it must be a function or a class"),
        ("nothing", "what can be called there: Bare"),
        ("two", "one, other"),
        ("keyword", "observation"),
        ("Needs", "weights"),
    ],
)
def test_what_cannot_be_called_is_refused_before_anything_is_played(module: str, name: str, says: str) -> None:
    with pytest.raises(OwnPolicyError, match="policy") as caught:
        EvalConfig(policy=f"{module}:{name}").conditions()
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("module_name", "says"),
    [
        ("no_such_module", "PYTHONPATH"),
        ("own_broken", "SyntaxError"),
        ("own_leaves", "SystemExit"),
        ("json.nowhere", "json.nowhere"),
    ],
)
def test_modules_that_cannot_be_imported_say_why(module: str, module_name: str, says: str) -> None:
    with pytest.raises(OwnPolicyError, match="cannot be imported") as caught:
        parsed(f"{module_name}:make").require()
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("none", "returned None"),
        ("flat", r"shape \(7,\)"),
        ("wide", r"shape \(4, 8\)"),
        ("empty", r"shape \(0, 7\)"),
        ("words", "returned str"),
        ("nan", "NaN or infinity"),
    ],
)
def test_answers_that_are_no_chunk_are_named(module: str, name: str, says: str) -> None:
    controller = parsed(f"{module}:{name}")()
    with pytest.raises(ChunkError, match=says) as caught:
        controller(observation(step=6))
    assert "step 6" in str(caught.value) and "(H, 7)" in str(caught.value)


@pytest.mark.parametrize("name", ["makes_number", "makes_nothing"])
def test_makers_that_make_nothing_are_named(module: str, name: str) -> None:
    with pytest.raises((OwnPolicyError, OSError)):
        parsed(f"{module}:{name}")()


def test_a_critic_guides_what_proposes_several(module: str) -> None:
    config = EvalConfig(policy=f"{module}:Sampler", sides=("bare", "guided", "random"), k=6)
    bare, guided, random = (side.factory() if side.factory else None for side in config.conditions())
    assert bare and guided and random
    decision = guided(observation())
    assert len(decision.candidates) == len(decision.mean) == 6
    assert np.array_equal(bare(observation()).chunk, decision.candidates[0])
    assert len(random(observation()).candidates) == 6


def test_a_critic_needs_several_and_the_actions_that_it_knows(module: str) -> None:
    critic = {"critic": "critic", "k": 6, "selection": Selection()}
    with pytest.raises(OwnPolicyError, match="nothing to choose from"):
        OwnPolicy(module, "act", "1", **critic)()
    with pytest.raises(OwnPolicyError, match="no spec and no normaliser"):
        OwnPolicy(module, "Bare", "1", **critic)()
    with pytest.raises(ChunkError, match="asked for 6 chunks and returned 1"):
        OwnPolicy(module, "Few", "1", None, 6, Selection("random"))()(observation())
    assert issubclass(ChunkError, SpecError)


def test_results_of_a_version_are_used_again_and_others_are_not(module: str) -> None:
    def identity(text: str, name: str = "bare"):
        side = EvalConfig(policy=text, baseline=text, sides=(name, "baseline")).conditions()[0]
        return json.dumps(side.identity, sort_keys=True)

    assert identity(f"{module}:act@1") == identity(f"{module}:act@1", "candidate")
    assert identity(f"{module}:act@1") != identity(f"{module}:act@2") != identity(f"{module}:make@2")
    assert not parsed(f"{module}:act").versioned and parsed(f"{module}:act@main-7").versioned
    assert "of run" in parsed(f"{module}:act").settings()["policy_version"]


def test_a_function_is_played_bare_unless_a_critic_is_named(module: str) -> None:
    assert EvalConfig(policy=f"{module}:act").side_names == ("bare",)
    assert EvalConfig(policy=f"{module}:act", baseline="policy").side_names == ("baseline", "candidate")
    assert EvalConfig(policy=f"{module}:Sampler", critic="critic").side_names == ("bare", "guided")


SHORT = {"episodes": 2, "max_steps": 4, "tasks": ("put_spoon_on_towel",), "processes": 1, "seed": 3}


@pytest.mark.parametrize(("name", "says"), [("raises", "no camera"), ("leaves", "SystemExit"), ("nan", "NaN")])
def test_an_exception_ends_the_evaluation_and_is_no_failed_episode(module: str, name: str, says: str, capsys) -> None:
    made = evaluate(EvalConfig(policy=f"{module}:{name}", **SHORT), command="vgps eval")
    assert says in (made.stopped or "") and made.counts("bare") == (0, 0)
    assert ("Traceback" in capsys.readouterr().err) == (name != "nan")


def test_a_function_plays_against_a_checkpoint_and_its_results_are_kept(module: str, tmp_path: Path) -> None:
    config = EvalConfig(
        policy=f"{module}:act@1", baseline="policy", require=("candidate-baseline>=-1",), out=tmp_path, **SHORT
    )
    made = evaluate(config, command="vgps eval")
    assert made.stopped is None and [c.name for c in made.conditions] == ["baseline", "candidate"]
    assert [v.state for v in made.verdicts] == ["met"]
    turned = EvalConfig(policy="policy", baseline=f"{module}:act@1", out=tmp_path, **SHORT)
    lines = len((tmp_path / "episodes.jsonl").read_text(encoding="utf-8").splitlines())
    again = evaluate(turned, command="vgps eval")
    assert again.counts("baseline") == made.counts("candidate") and again.counts("candidate")[1] == 2
    assert len((tmp_path / "episodes.jsonl").read_text(encoding="utf-8").splitlines()) == lines == 4


def test_another_version_of_the_same_function_is_never_played_by_this_one(module: str, tmp_path: Path) -> None:
    """Its code is in another checkout; only the results that were made there are used."""
    both = EvalConfig(policy=f"{module}:act@2", baseline=f"{module}:act@1", out=tmp_path, **SHORT)
    with pytest.raises(EvaluationError, match=r"baseline: 2 episodes are not in .* in a checkout of its own"):
        evaluate(both, command="vgps eval")
    assert not (tmp_path / "episodes.jsonl").exists()  # nothing was played
    evaluate(EvalConfig(policy=f"{module}:act@1", out=tmp_path, **SHORT), command="vgps eval")
    made = evaluate(both, command="vgps eval")
    assert made.stopped is None and made.counts("baseline")[1] == made.counts("candidate")[1] == 2
    one = EvalConfig(policy=f"{module}:act@2", baseline=f"{module}:act@2", out=tmp_path, **SHORT)
    assert evaluate(one, command="vgps eval").stopped is None
