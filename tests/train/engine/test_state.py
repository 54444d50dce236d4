"""The training state: what it holds at the start, and a fingerprint that notices every bit."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import optax

from train.engine.state import fingerprint, initial_state

VARIABLES = {"params": {"kernel": jnp.ones((2, 3))}, "batch_stats": {"mean": jnp.zeros(3)}}
TREE = {"b": np.arange(3, dtype=np.float32), "a": {"x": np.zeros((2, 2), np.float32), "y": np.int32(7)}}


def test_initial_state_keeps_parameters_apart_from_other_collections():
    key = jax.random.key(5)
    state = initial_state(VARIABLES, optax.sgd(0.1, momentum=0.9), key, ema=False)
    assert int(state.step) == 0
    assert state.ema is None
    assert set(state.model_state) == {"batch_stats"}
    assert state.variables() == VARIABLES
    assert jax.tree.map(jnp.shape, state.opt_state[0].trace) == {"kernel": (2, 3)}
    assert jax.random.wrap_key_data(state.key) == key


def test_the_average_starts_at_the_first_variables():
    state = initial_state(VARIABLES, optax.sgd(0.1), jax.random.key(0), ema=True)
    assert fingerprint(state.ema) == fingerprint(VARIABLES)


def test_a_model_without_other_collections_has_an_empty_state():
    state = initial_state({"params": VARIABLES["params"]}, optax.sgd(0.1), jax.random.key(0), ema=False)
    assert state.model_state == {}


def test_fingerprint_is_sha256_of_path_type_shape_and_bytes():
    array = np.arange(3, dtype=np.int32)
    expected = hashlib.sha256(b"['a'] int32 (3,)\n" + array.tobytes()).hexdigest()
    assert fingerprint({"a": array}) == fingerprint({"a": jnp.asarray(array)}) == expected


def test_fingerprint_does_not_depend_on_the_order_of_names_or_memory():
    reordered = {"a": {"y": np.int32(7), "x": np.zeros((2, 2), np.float32, order="F")}, "b": TREE["b"]}
    assert fingerprint(reordered) == fingerprint(TREE)
    every_second = np.arange(6, dtype=np.float32)[::2]
    assert fingerprint(every_second) == fingerprint(every_second.copy())


def test_fingerprint_notices_the_last_bit_and_what_does_not_change_a_value():
    def changed(**parts):
        return fingerprint({**TREE, **parts})

    seen = {
        fingerprint(TREE),
        changed(b=np.nextafter(TREE["b"], 9)),
        changed(b=-TREE["b"] + 0.0),
        changed(b=TREE["b"] * np.array([-1, 1, 1], np.float32)),  # 0 becomes -0
        changed(b=TREE["b"].astype(np.float64)),
        changed(b=TREE["b"][None]),
        fingerprint({"c": TREE["b"], "a": TREE["a"]}),
    }
    assert len(seen) == 7
