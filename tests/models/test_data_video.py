"""Video keeps what a precise encoder needs, and packets are copied as they are."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vgps_models.data.episodes import example_episode
from vgps_models.data.video import VideoCopier, VideoReader, VideoSettings, encode
from vgps_models.errors import DataError

FRAMES = example_episode(3, size=128, steps=30).images["front"]
FILE = encode(FRAMES, 5)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b.astype(float)) ** 2))


def test_decoded_frames_are_close_to_what_was_rendered() -> None:
    decoded = VideoReader(FILE).frames(0, 30)
    assert psnr(decoded, FRAMES) > 45
    assert abs(decoded.astype(int) - FRAMES).max() < 40
    bias = (decoded.astype(float) - FRAMES).mean(axis=(0, 1, 2))
    assert abs(bias).max() < 1  # colours are not shifted


def test_full_colour_resolution_is_worth_it() -> None:
    halved = encode(FRAMES, 5, VideoSettings(pixel_format="yuv420p"))
    assert psnr(VideoReader(FILE).frames(0, 30), FRAMES) > psnr(VideoReader(halved).frames(0, 30), FRAMES) + 3


def test_encoding_is_deterministic() -> None:
    assert encode(FRAMES, 5) == FILE


@settings(max_examples=10, deadline=None)
@given(lengths=st.lists(st.integers(1, 13), min_size=1, max_size=6))
def test_copied_episodes_keep_bits_pixels_and_times(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int]
) -> None:
    path = tmp_path_factory.mktemp("video") / "all.mp4"
    sources = [VideoReader(encode(FRAMES[:n], 5)) for n in lengths]
    copier = VideoCopier(path, sources[0])
    for source, n in zip(sources, lengths, strict=True):
        copier.append(list(source.packets(0, n)))
    copier.close()
    merged = VideoReader(path)
    assert merged.fps == 5
    assert merged.stream.frames == sum(lengths)
    starts = np.cumsum([0, *lengths[:-1]]).tolist()
    for source, start, n in reversed(list(zip(sources, starts, lengths, strict=True))):
        assert merged.digest(start, n) == source.digest(0, n)
        assert np.array_equal(merged.frames(start, n), source.frames(0, n))


@pytest.mark.parametrize("keep", [0, 10, 500, len(FILE) // 2, len(FILE) * 9 // 10])
def test_a_cut_file_is_a_data_error(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "cut.mp4"
    path.write_bytes(FILE[:keep])
    with pytest.raises(DataError, match=r"cut\.mp4"):
        VideoReader(path, path.name).frames(0, 30)


def test_an_episode_that_does_not_begin_with_a_key_frame_is_a_data_error() -> None:
    with pytest.raises(DataError, match="frame 1 is not where"):
        VideoReader(FILE).digest(1, 3)
