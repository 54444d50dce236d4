"""Clips with flow: what it says, and that each pair of frames is computed once."""

import numpy as np
import pytest

from train.config import Data, RecipeError
from train.data import ArraySource, DataError, Field, Kind, OfFields, load, sources
from train.data import flowing as module
from train.data.flow_bytes import STILL_BYTE, of_bytes
from train.data.flowing import FlowCache, Flowing, default_cache
from zoo.dense.tv_l1 import tv_l1

SIDE, FRAMES = 24, 4
STEP = np.array([1, 2])  # pixels to the right and down, from frame to frame


def clips(count=2, seed=0):
    """Windows of a smooth picture that move the other way."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (count, 8, 8, 3))
    large = np.kron(coarse, np.ones((1, 6, 6, 1)))
    for axis in (1, 2):
        large = (np.roll(large, 1, axis) + large + np.roll(large, -1, axis)) / 3
    starts = [np.array([12, 12]) - STEP * time for time in range(FRAMES)]
    return np.stack([large[:, y : y + SIDE, x : x + SIDE] for x, y in starts], axis=1).astype(np.uint8)


def source_of(arrays):
    spec = {"clip": Field(Kind.CLIP, arrays.shape[1:], "uint8"), "label": Field(Kind.LABEL, (), "int32")}
    return ArraySource("clips", {"clip": arrays, "label": np.zeros(len(arrays), np.int32)}, spec)


@pytest.fixture
def computed(monkeypatch):
    """How many pairs were computed, in each call."""
    calls = []

    def counted(first, second, **settings):
        calls.append(len(first))
        return tv_l1(first, second, **settings)

    monkeypatch.setattr(module, "tv_l1", counted)
    return calls


def test_the_flow_leads_from_each_frame_to_the_next(tmp_path):
    example = Flowing(source_of(clips()), cache=tmp_path)[0]
    assert example["flows"].shape == (FRAMES - 1, SIDE, SIDE, 2)
    inner = of_bytes(example["flows"])[:, 4:-4, 4:-4]
    np.testing.assert_allclose(np.median(inner, axis=(1, 2)), np.tile(STEP, (FRAMES - 1, 1)), atol=0.2)
    clip = example["clip"]
    np.testing.assert_allclose(of_bytes(example["flows"]), np.asarray(tv_l1(clip[:-1], clip[1:])), atol=0.08)


def test_every_pair_is_computed_once_and_read_from_then_on(tmp_path, computed):
    source = Flowing(source_of(clips()), cache=tmp_path)
    first = source.read([0, 1])["flows"]
    assert computed == [3, 3]
    again = Flowing(source_of(clips()), cache=tmp_path).read([0, 1])["flows"]
    np.testing.assert_array_equal(first, again)
    assert computed == [3, 3]
    shifted = FlowCache(tmp_path).flows(np.concatenate([clips()[0][1:], clips()[1][:1]]))  # the last pair alone is new
    np.testing.assert_array_equal(shifted[:2], first[0][1:])
    assert computed == [3, 3, 1]
    assert not list(tmp_path.rglob("*.part"))


def test_what_is_kept_depends_on_content_and_settings(tmp_path, computed, monkeypatch):
    cache, (clip, _) = FlowCache(tmp_path), clips()
    cache.flows(clip)
    changed = clip.copy()
    changed[0, 0, 0, 0] ^= 1
    cache.flows(changed)
    assert computed == [3, 1]
    monkeypatch.setattr(module, "_WAY", b"another way")
    cache.flows(clip)
    assert computed == [3, 1, 3]


def test_a_damaged_file_is_computed_again(tmp_path, computed):
    cache, (clip, _) = FlowCache(tmp_path), clips()
    whole = cache.flows(clip)
    one, other, _ = sorted(tmp_path.rglob("*.png"))
    one.write_bytes(one.read_bytes()[:50])
    other.write_bytes(b"")
    np.testing.assert_array_equal(cache.flows(clip), whole)
    assert computed == [3, 1, 1]


def test_there_is_no_flow_from_one_clip_to_the_next(tmp_path):
    single, (both,) = clips(2), clips(2)[:1]
    both = np.concatenate(clips(2))[None]
    found = Flowing(source_of(both), clips=2, cache=tmp_path)[0]["flows"]
    assert found.shape == (2 * (FRAMES - 1), SIDE, SIDE, 2)
    expected = [Flowing(source_of(single), cache=tmp_path)[row]["flows"] for row in (0, 1)]
    np.testing.assert_array_equal(found, np.concatenate(expected))


def test_who_does_not_read_flow_computes_none(tmp_path, computed):
    source = OfFields(Flowing(source_of(clips()), cache=tmp_path), ("clip", "label"))
    assert set(source[0]) == {"clip", "label"}
    assert computed == []
    assert Flowing(source_of(clips()), cache=tmp_path).peek(0, "label") == 0
    assert computed == []


def test_what_could_not_be_read_does_not_move(tmp_path, computed):
    source = source_of(clips())
    example = Flowing(source, cache=tmp_path).change({**source[0], "readable": np.bool_(False)}, 0)
    assert np.all(example["flows"] == STILL_BYTE)
    assert computed == []


def test_a_recipe_asks_for_it_and_says_where_it_stays(tmp_path, monkeypatch):
    monkeypatch.setitem(sources.SOURCES, "moving_clips:WHAT", lambda asked: source_of(clips()))
    config = Data("moving_clips:motion", flow=True, flow_cache=str(tmp_path))
    source = load(config, "test")
    assert isinstance(source, ArraySource)  # small: in memory
    assert source.spec["flows"] == Field(Kind.FLOWS, (3, SIDE, SIDE, 2), "uint8")
    assert len(list(tmp_path.rglob("*.png"))) == 6
    with pytest.raises(RecipeError, match=r"data\.flow: expected clips of two frames or more, got data\.frames 1"):
        load(Data("moving_clips:motion", flow=True, frames=1), "test")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "lecture-vision-zoo" / "flow"


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(DataError, match=r"expected a folder for computed flow that can be written.*--data\.flow-cache"):
        FlowCache(tmp_path / "file").flows(clips()[0])
