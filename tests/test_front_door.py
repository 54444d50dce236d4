"""The front door: a light import, one compilation for initial variables, and the bridge to Flax NNX."""

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo

PROBE = """
import json, sys, time
import flax.linen, jax
from jaxtyping import Array, PyTree
theirs, seconds = set(sys.modules), time.process_time()
import zoo
ours = time.process_time() - seconds
print(json.dumps({"ours": sorted(set(sys.modules) - theirs), "share": ours / seconds}))
"""


@pytest.fixture(scope="module")
def imported():
    """What `import zoo` adds to jax, flax and jaxtyping in a new process: modules, and a share of their time."""
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_import_zoo_brings_nothing_but_jax_flax_and_jaxtyping(imported):
    others = {name.partition(".")[0] for name in imported["ours"]} - set(sys.stdlib_module_names)
    assert others == {"zoo"}


def test_import_zoo_brings_no_chapter(imported):
    assert {name for name in imported["ours"] if name.startswith("zoo")} == {"zoo"}


def test_import_zoo_takes_a_tenth_of_what_jax_and_flax_take_at_most(imported):
    assert imported["share"] < 0.1  # of processor time


def test_what_zoo_offers_is_there():
    assert all(hasattr(zoo, name) for name in zoo.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        zoo.nothing  # noqa: B018


def compilations(call):
    """How many programs a call compiled, and what it returned."""
    compiled = []

    def listen(event, seconds, **_):
        if event.endswith("backend_compile_duration"):
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        return call(), len(compiled)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def test_init_is_one_program_and_its_numbers_are_those_of_the_module():
    model, key = zoo.create("mlp", hidden=(16, 12), num_classes=5), jax.random.key(3)
    variables, count = compilations(lambda: zoo.init(model, key, (7, 9, 1)))
    assert count == 1
    expected = jax.jit(model.init)(key, jnp.zeros((1, 7, 9, 1)))
    jax.tree.map(np.testing.assert_array_equal, variables, expected)


def test_init_with_another_key_compiles_nothing():
    def of(seed):
        return zoo.init(zoo.create("mlp", hidden=(17,)), jax.random.key(seed), (3, 3, 1))["params"]

    of(0)
    other, count = compilations(lambda: of(1))
    assert count == 0
    assert not np.array_equal(of(0)["head"]["kernel"], other["head"]["kernel"])


def test_init_under_eval_shape_computes_nothing():
    model, key = zoo.create("cifar_resnet20"), jax.random.key(0)
    shapes, count = compilations(lambda: jax.eval_shape(lambda key: zoo.init(model, key, (32, 32, 3)), key))
    assert count == 0
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes["params"])) == 269_722  # checklist 2.4


@pytest.mark.parametrize("shape", [(), (0, 28, 1), (28, -1, 1)])
def test_init_refuses_the_shape_of_no_example(shape):
    with pytest.raises(ValueError, match="input_shape: expected positive sizes of one example"):
        zoo.init(zoo.create("lenet5"), jax.random.key(0), shape)


def test_a_model_becomes_an_nnx_module_through_flaxs_bridge():
    from flax import nnx

    model = zoo.create("mlp", hidden=(6,), num_classes=3)
    images = np.random.default_rng(0).normal(size=(2, 4, 4, 1)).astype(np.float32)
    module = nnx.bridge.lazy_init(nnx.bridge.ToNNX(model, rngs=nnx.Rngs(0)), images)
    params = nnx.to_pure_dict(nnx.state(module, nnx.Param))
    np.testing.assert_allclose(module(images), model.apply({"params": params}, images), rtol=1e-6)
    grads = nnx.grad(lambda module: jnp.sum(module(images)))(module)
    np.testing.assert_allclose(nnx.to_pure_dict(grads)["head"]["bias"], np.full(3, 2.0))
