"""The correlation layer: a loop over displacements written here, finite differences, shapes that are odd."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from zoo.dense.correlation import correlation


def by_loops(first, second, most, step):
    """Equation 1 of the paper, place by place."""
    batch, rows, columns, _ = first.shape
    steps = range(-most, most + 1, step)
    found = np.zeros((batch, rows, columns, len(steps) ** 2))
    for b, y, x in np.ndindex(batch, rows, columns):
        for number, (dy, dx) in enumerate((dy, dx) for dy in steps for dx in steps):
            if 0 <= y + dy < rows and 0 <= x + dx < columns:
                found[b, y, x, number] = first[b, y, x] @ second[b, y + dy, x + dx] / first.shape[-1]
    return found


def drawn(*shape):
    both = np.random.default_rng(0).standard_normal((2, *shape))
    return both[0].astype(np.float32), both[1].astype(np.float32)


@pytest.mark.parametrize(
    ("shape", "most", "step"),
    [((2, 5, 7, 3), 4, 2), ((1, 3, 75, 2), 3, 3), ((1, 1, 1, 4), 20, 2), ((1, 2, 37, 1), 1, 1), ((1, 4, 3, 2), 0, 1)],
    ids=["even", "wide", "one place", "many blocks", "no displacement"],
)
def test_each_displacement_is_a_mean_of_products_and_zero_beyond_the_borders(shape, most, step):
    first, second = drawn(*shape)
    found = jax.jit(correlation, static_argnums=(2, 3))(first, second, most, step)
    np.testing.assert_allclose(found, by_loops(first, second, most, step), atol=1e-5)


def test_the_papers_layer_has_441_displacements():
    maps = jax.ShapeDtypeStruct((2, 48, 64, 256), jnp.bfloat16)
    found = jax.eval_shape(correlation, maps, maps)
    assert (found.shape, found.dtype) == ((2, 48, 64, 441), jnp.float32)


def test_gradients_are_finite_differences():
    first, second = drawn(1, 3, 5, 2)
    check_grads(jax.jit(lambda a, b: correlation(a, b, 2, 2)), (first, second), order=1, modes=["rev"], eps=1e-2)


def test_maps_that_differ_and_steps_that_do_not_divide_are_refused():
    maps = jnp.ones((1, 4, 4, 2))
    with pytest.raises(ValueError, match=r"expected two maps .*, got \(1, 4, 4, 2\) and \(1, 4, 3, 2\)"):
        correlation(maps, maps[:, :, :3])
    for most, step in ((3, 2), (2, 0), (-2, 2)):
        with pytest.raises(ValueError, match=f"a largest displacement that it divides, got {step} and {most}"):
            correlation(maps, maps, most, step)
