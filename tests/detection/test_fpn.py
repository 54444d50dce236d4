"""The pyramid: coarser maps are added to finer ones, beside a loop; the maps that it adds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from zoo.detection.fpn import FeaturePyramid, nearest

RANDOM = np.random.default_rng(0)
MAPS = {
    name: RANDOM.standard_normal((2, *size, channels)).astype(np.float32)
    for name, size, channels in (("a", (13, 16), 3), ("b", (7, 8), 4), ("c", (4, 4), 6))
}


def convolved(x, layer, stride=1):
    kernel = layer["kernel"]
    side = kernel.shape[0] // 2
    numbers = ("NHWC", "HWIO", "NHWC")
    return (
        lax.conv_general_dilated(x, kernel, (stride, stride), [(side, side)] * 2, dimension_numbers=numbers)
        + layer["bias"]
    )


@pytest.mark.parametrize("extra", ["none", "pool"])
def test_the_pyramid_is_that_of_a_loop(extra):
    pyramid = FeaturePyramid(5, extra)
    variables = pyramid.init(jax.random.key(0), MAPS)
    params = jax.tree.map(lambda x: RANDOM.standard_normal(x.shape).astype(np.float32), variables["params"])
    found = pyramid.apply({"params": params}, MAPS)
    assert list(found) == ["a", "b", "c", *(["p6"] if extra == "pool" else [])]
    above, expected = None, {}
    for level, name in ((3, "c"), (2, "b"), (1, "a")):
        lateral = convolved(MAPS[name], params[f"inner{level}"])
        if above is not None:
            rows = np.arange(lateral.shape[1]) * above.shape[1] // lateral.shape[1]
            columns = np.arange(lateral.shape[2]) * above.shape[2] // lateral.shape[2]
            lateral = lateral + above[:, rows][:, :, columns]
        above = lateral
        expected[name] = convolved(above, params[f"layer{level}"])
    if extra == "pool":
        expected["p6"] = expected["c"][:, ::2, ::2]
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-3, err_msg=name)


def test_with_normalisation_convolutions_have_no_bias():
    variables = jax.eval_shape(FeaturePyramid(5, batch_norm=True).init, jax.random.key(0), MAPS)
    assert {tuple(layer) for name, layer in variables["params"].items() if "norm" not in name} == {("kernel",)}
    assert set(variables["batch_stats"]) == {
        f"{part}{level}_norm" for part in ("inner", "layer") for level in (1, 2, 3)
    }


def test_a_map_is_enlarged_by_its_nearest_places():
    x = jnp.arange(6.0).reshape(1, 2, 3, 1)
    assert nearest(x, 4, 6)[0, :, :, 0].tolist() == np.kron(np.arange(6.0).reshape(2, 3), np.ones((2, 2))).tolist()
    assert nearest(x, 3, 4)[0, :, :, 0].tolist() == [[0, 0, 1, 2], [0, 0, 1, 2], [3, 3, 4, 5]]
    with pytest.raises(ValueError, match=r"extra one of none, pool, got \[\] and 'pool'"):
        FeaturePyramid(5).init(jax.random.key(0), {})
