"""Pooling with indices and unpooling beside torch's, ties, -inf and NaN included."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.nn.goldens import maps
from zoo.nn import max_pool
from zoo.nn.unpool import max_pool_with_indices, max_unpool


@functools.cache
def golden():
    with np.load(Path(__file__).parent / "goldens" / "maps.npz") as file:
        return {name: value for name, value in file.items() if name.partition("/")[0] in ("pooled", "unpooled")}


def windows_of(name):
    return {key: value for key, value in maps.POOLED[name].items() if key != "size"}


@functools.cache
def pooled():
    """Maxima and indices of every setting, in one program."""
    given = {name: maps.tied(name) for name in maps.POOLED}
    return jax.jit(lambda given: {name: max_pool_with_indices(x, **windows_of(name)) for name, x in given.items()})(
        given
    )


def test_maxima_and_their_places_are_torchs():
    for name, (values, indices) in pooled().items():
        np.testing.assert_array_equal(values, golden()[f"pooled/{name}/out"], err_msg=name)
        np.testing.assert_array_equal(indices, golden()[f"pooled/{name}/indices"], err_msg=name)
        assert indices.dtype == np.int32


def test_unpooled_maps_and_their_gradients_are_torchs():
    indices = {name: golden()[f"pooled/{name}/indices"].astype(np.int32) for name in maps.POOLED}
    values = {name: maps.drawn(f"values of {name}", *at.shape) for name, at in indices.items()}
    values["overlapping"] = np.nan_to_num(golden()["pooled/overlapping/out"], neginf=0.0)
    slopes = {name: maps.drawn(f"slopes of {name}", *golden()[f"unpooled/{name}/out"].shape) for name in maps.POOLED}

    @jax.jit
    def everything(values, indices, slopes):
        found = {}
        for name, settings in maps.POOLED.items():

            def unpooled(x, name=name, settings=settings):
                return max_unpool(x, indices[name], settings["size"], **windows_of(name))

            out, back = jax.vjp(unpooled, values[name])
            found[name] = out, back(slopes[name])[0]
        return found

    for name, (out, gradient) in everything(values, indices, slopes).items():
        np.testing.assert_array_equal(out, golden()[f"unpooled/{name}/out"], err_msg=name)
        if name != "overlapping":
            np.testing.assert_array_equal(gradient, golden()[f"unpooled/{name}/gradient"], err_msg=name)


def test_the_gradient_of_the_maxima_goes_to_the_first_of_a_tie():
    x = jnp.asarray(np.random.default_rng(0).integers(0, 3, (2, 7, 6, 3)), jnp.float32)
    slopes = jnp.asarray(np.random.default_rng(1).standard_normal((2, 4, 3, 3)), jnp.float32)
    pads = ((0, 1), (0, 0))

    @jax.jit
    def both(x):
        ours = jax.vjp(lambda x: max_pool_with_indices(x, 2, padding=pads)[0], x)[1](slopes)
        return ours, jax.vjp(lambda x: max_pool(x, 2, padding=pads), x)[1](slopes)

    (ours,), (expected,) = both(x)
    np.testing.assert_array_equal(ours, expected)


def test_what_was_pooled_and_put_back_is_pooled_to_the_same():
    x = jnp.asarray(np.random.default_rng(0).random((2, 9, 5, 3)), jnp.float32)
    pads = ((0, 1), (0, 1))

    @jax.jit
    def there_and_back(x):
        values, indices = max_pool_with_indices(x, 2, padding=pads)
        back = max_unpool(values, indices, (9, 5), 2, padding=pads)
        return values, back, max_pool(back, 2, padding=pads)

    values, back, again = there_and_back(x)
    np.testing.assert_array_equal(again, values)
    assert np.count_nonzero(back) == values.size
    assert set(np.unique(back)) - {0} <= set(np.unique(x))


def test_shapes_that_pooling_does_not_give_and_windows_of_padding_alone_are_refused():
    x, at = jnp.zeros((1, 2, 2, 1)), jnp.zeros((1, 2, 2, 1), jnp.int32)
    with pytest.raises(ValueError, match="values and indices of 3 x 2 places, as pooling 6 x 5 gives, got shapes"):
        max_unpool(x, at, (6, 5), 2)
    with pytest.raises(ValueError, match="values and indices of 2 x 2 places"):
        max_unpool(x, at[:, :1], (4, 4), 2)
    with pytest.raises(ValueError, match="expected a place of the maps in every window"):
        max_pool_with_indices(x, 2, padding=((0, 0), (2, 0)))
    with pytest.raises(ValueError, match="expected a place of the maps in every window"):
        max_pool_with_indices(x, 2, padding=((0, 2), (0, 0)))
    with pytest.raises(ValueError, match=r"expected maps \(batch, height, width, channels\), got shape \(2, 2, 1\)"):
        max_pool_with_indices(x[0], 2)
    with pytest.raises(ValueError, match="max_pool_with_indices: a window of"):
        max_pool_with_indices(x, 3)
