"""TOPReward on a tiny model of random weights in this process, through the code that loads real ones."""

from __future__ import annotations

import itertools
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openai")
from vlm_server import clip

from vgps_models.errors import DataError, MissingDependencyError
from vgps_models.progress import Usage
from vgps_models.progress.clips import each
from vgps_models.progress.topreward import TOPReward, TOPRewardConfig
from vgps_models.progress.topreward.local import LocalConfig
from vgps_models.progress.topreward.question import question

T = 8  # frames of `clip`
WORDS = ("<pad>", "<unk>", "<s>", "</s>", "<image>", "True", "true", "False", "FALSE", "task", "spoon", "towel", "done")
TEMPLATE = (
    "{% for m in messages %}{% for p in m['content'] %}"
    "{% if p['type'] == 'image' %}<image> {% else %}{{ p['text'] }}{% endif %}"
    "{% endfor %}{% endfor %}"
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LLaVA of random weights, some 20 kB, saved as transformers saves models."""
    transformers = pytest.importorskip("transformers")
    torch, tokenizers = pytest.importorskip("torch"), pytest.importorskip("tokenizers")
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", unk_token="<unk>", bos_token="<s>", eos_token="</s>",
        additional_special_tokens=["<image>"],
    )  # fmt: skip
    size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    net = transformers.LlavaForConditionalGeneration(
        transformers.LlavaConfig(
            vision_config=transformers.CLIPVisionConfig(**size, image_size=16, patch_size=8, projection_dim=16),
            text_config=transformers.LlamaConfig(**size, vocab_size=len(WORDS), num_key_value_heads=2, pad_token_id=0),
            image_token_index=WORDS.index("<image>"),
        )
    )
    generator = torch.Generator().manual_seed(0)
    for weight in net.parameters():
        weight.data = 0.5 * torch.randn(weight.shape, generator=generator)
    images = transformers.models.clip.image_processing_pil_clip.CLIPImageProcessorPil(
        size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}
    )
    processor = transformers.LlavaProcessor(
        images, tokenizer, patch_size=8, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("models") / "tiny-llava"
    net.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def local(folder: Path, **settings: Any) -> TOPReward:
    there = LocalConfig(str(folder), local_files_only=True, dtype="float32")
    return TOPReward(TOPRewardConfig("local", local=there, **settings))


def test_a_local_model_gives_values_that_depend_on_the_frames(checkpoint):
    estimator = local(checkpoint, prefixes=4, most_frames=3)
    made, other = estimator.estimate(clip(0)), estimator.estimate(clip(1, views=2))
    known = made.values[~np.isnan(made.values)]
    assert len(known) == 4 and ((known > 0) & (known < 1)).all() and made.failures == () and made.usage == Usage()
    assert made.source == "topreward-1:tiny-llava" and made.asked == 4
    assert all(abs(a - b) > 1e-6 for a, b in itertools.combinations(known, 2))
    assert not np.allclose(other.values[[0, -1]], made.values[[0, -1]])
    again = dict(each(estimator, [("a", clip(0)), ("b", clip(1, views=2))]))
    assert np.allclose(again["a"].values, made.values, equal_nan=True)
    backwards = estimator.estimate(clip(0).take(np.arange(T)[::-1]))
    assert backwards.values[-1] != pytest.approx(made.values[-1], abs=1e-6)  # it sees an order
    scaled = local(checkpoint, prefixes=4, normalise="episode").estimate(clip(0)).values
    assert np.nanmin(scaled) == 0 and np.nanmax(scaled) == 1


def test_a_local_value_is_that_of_the_models_own_logits(checkpoint):
    import torch
    from PIL import Image
    from transformers import LlavaForConditionalGeneration, LlavaProcessor

    seen = clip(frames=2)
    made = local(checkpoint).estimate(seen)
    net = LlavaForConditionalGeneration.from_pretrained(checkpoint)
    processor: Any = LlavaProcessor.from_pretrained(checkpoint)
    words = question(seen.task, [["x"], ["y"]])[-1]
    frames = [Image.fromarray(image) for image in seen.views["view0"]]
    inputs = processor(images=frames, text=f"<image> <image> {words}", return_tensors="pt")
    with torch.no_grad():
        p = net(**inputs).logits[0, -1].softmax(-1)
    true, false = (p[[WORDS.index(w) for w in words]].sum() for words in (("True", "true"), ("False", "FALSE")))
    assert made.values[-1] == pytest.approx(float(true / (true + false)), abs=1e-5)


def test_a_local_model_that_may_think_first_is_told_not_to(checkpoint, tmp_path):
    thinking = tmp_path / "thinking"
    shutil.copytree(checkpoint, thinking)
    (thinking / "chat_template.jinja").write_text(
        TEMPLATE + "{% if enable_thinking is not defined or enable_thinking %} spoon towel done{% endif %}",
        encoding="utf-8",
    )
    made = local(thinking, prefixes=2).estimate(clip()), local(checkpoint, prefixes=2).estimate(clip())
    assert np.allclose(made[0].values, made[1].values, equal_nan=True)


def test_a_local_model_that_cannot_be_used_is_refused(checkpoint, tmp_path, monkeypatch):
    import torch
    from safetensors.torch import load_file

    with pytest.raises(DataError, match="which model"):
        TOPReward(TOPRewardConfig("local"))
    with pytest.raises(DataError, match="cannot be loaded"):
        local(tmp_path / "none")

    def copy(name: str, without: str) -> Path:
        return Path(shutil.copytree(checkpoint, tmp_path / name, ignore=shutil.ignore_patterns(without)))

    pickled = copy("pickled", "model.safetensors")
    torch.save(load_file(checkpoint / "model.safetensors"), pickled / "pytorch_model.bin")
    with pytest.raises(DataError, match="safetensors"):
        local(pickled)
    with pytest.raises(DataError, match="chat template"):
        local(copy("mute", "chat_template.jinja"))
    wordless = copy("wordless", "tokenizer.json")
    (wordless / "tokenizer.json").write_text(
        (checkpoint / "tokenizer.json").read_text(encoding="utf-8").replace('"FALSE"', '"F"').replace('"False"', '"G"'),
        encoding="utf-8",
    )
    with pytest.raises(DataError, match="says False"):
        local(wordless)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'vgps\[topreward\]'"):
        local(checkpoint)


def test_a_local_model_without_sound_numbers_is_a_failure(checkpoint):
    estimator = local(checkpoint, prefixes=2)
    assert estimator._local is not None
    estimator._local._net.lm_head.weight.data[:] = float("nan")
    made = estimator.estimate(clip())
    assert made.failed and len(made.failures) == 2 and "float32" in made.failures[0]


def test_a_local_model_that_says_something_else_is_a_failure(checkpoint):
    import torch

    estimator = local(checkpoint, prefixes=2)
    assert estimator._local is not None
    head = estimator._local._net.lm_head
    with torch.no_grad():
        head.weight[[WORDS.index(w) for w in ("True", "true", "False", "FALSE")]] = 0.0
        head.weight[WORDS.index("spoon")] *= 50.0
        head.weight[WORDS.index("towel")] = -head.weight[WORDS.index("spoon")]  # one of the two is likely by far
    made = estimator.estimate(clip())
    assert made.failed and "together have a probability of" in made.failures[0]
    assert "'spoon'" in made.failures[0] or "'towel'" in made.failures[0]
