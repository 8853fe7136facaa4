"""How well a critic listens, against a critic whose every answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from vgps_models import checkpoint
from vgps_models.data import EpisodeStore
from vgps_models.data.sampling import split_episodes
from vgps_models.training import listening

pytestmark = pytest.mark.numerical

TASKS = ("put_spoon_on_towel", "put_carrot_on_plate")
RIGHT = {task: {"loud": ("good", "better"), "quiet": ("poor",)} for task in TASKS}
WRONG: dict[str, tuple[str, ...]] = dict.fromkeys(TASKS, ("bad", "middling"))
WORTH = {"better": 3.0, "good": 2.0, "middling": 1.5, "poor": 1.0, "bad": 0.0}


@pytest.fixture
def asked(monkeypatch) -> list[tuple[int, str]]:
    """Scores of our choosing; remembers (steps, sentence) of every question."""
    questions = []

    def scores(critic, views, proprio, done, sentence):
        assert len(views) == len(proprio) == len(done)
        questions.append((len(views), sentence))
        return np.full(len(views), WORTH[sentence], np.float32)

    monkeypatch.setattr(listening, "_scores", scores)
    return questions


def test_shares_are_of_all_pairs_at_the_held_out_steps(critic_file, episodes, asked):
    found = listening.preference(str(critic_file), episodes, RIGHT, WRONG)
    assert found["loud"]["all"] == 1.0 and found["quiet"]["all"] == 0.5
    assert set(found["loud"]) == {"all", *TASKS}
    columns, card = EpisodeStore(episodes).columns(), checkpoint.read_card(critic_file)
    _, held_out = split_episodes(columns, card.settings["held_out"], card.settings["seed"])
    assert sum(steps for steps, sentence in asked if sentence == "bad") == held_out.sum()


def test_fewer_steps_may_be_asked_about(critic_file, episodes, asked):
    listening.preference(str(critic_file), episodes, RIGHT, WRONG, every=4)
    few = sum(steps for steps, sentence in asked if sentence == "bad")
    asked.clear()
    listening.preference(str(critic_file), episodes, RIGHT, WRONG)
    assert few < sum(steps for steps, sentence in asked if sentence == "bad") / 3


def test_scores_are_those_of_the_running_critic(critic_file, observe):
    critic = checkpoint.load_critic(critic_file)
    seen = [observe(step) for step in range(3)]
    views = np.stack([np.stack([o.images[c] for c in critic.perception.config.cameras]) for o in seen])
    done = np.random.default_rng(0).uniform(-1, 1, (3, 28)).astype(np.float32)
    done[:, 6::7] = 1.0
    words = seen[0].instruction
    got = listening._scores(critic, views, np.stack([o.proprio for o in seen]), done, words)
    metric = critic.normaliser.denormalise(done.reshape(3, 4, 7).astype(float))
    one_by_one = [float(critic.score(critic.encode(o), metric[i : i + 1])[0][0]) for i, o in enumerate(seen)]
    assert np.allclose(got, one_by_one, atol=1e-3)
