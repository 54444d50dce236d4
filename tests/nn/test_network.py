"""The base of all networks: its fields stand behind those of the network, and its makers hand them on."""

import dataclasses
import importlib
import inspect

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zoo.catalog import CATALOG
from zoo.nn.network import Network


class Tiny(Network):
    width: int = 3

    @nn.compact
    def __call__(self, images, train=False):
        block = self.rematerialised(Block)
        x = block(self.conv_maker(use_bias=False), self.norm_maker(momentum=0.5), self.width, name="block")(
            images, train
        )
        return x.astype(self.wide)


class Block(nn.Module):
    conv: type
    norm: type
    width: int

    @nn.compact
    def __call__(self, x, train):
        return self.norm(name="norm")(self.conv(self.width, (3, 3), name="conv")(x), not train)


IMAGES = np.zeros((2, 4, 4, 1), np.float32)


def test_the_fields_that_all_share_are_given_by_name_and_leave_the_order_of_the_others_alone():
    assert Tiny(7, remat=True).width == 7
    with pytest.raises(TypeError, match="positional argument"):
        Tiny(7, None, None, True)
    assert hash(Tiny(7, dtype=jnp.bfloat16)) == hash(Tiny(7, dtype=jnp.bfloat16))


def test_makers_hand_the_types_on_and_options_come_before_them():
    model = Tiny(dtype=jnp.bfloat16, param_dtype=jnp.float16, axis_name="devices")
    conv, norm = model.conv_maker(kernel_init=nn.initializers.ones), model.norm_maker(epsilon=0.1)
    assert conv(4, (3, 3)).dtype == norm().dtype == jnp.bfloat16
    assert conv(4, (3, 3)).param_dtype == norm().param_dtype == jnp.float16
    assert conv(4, (3, 3)).kernel_init is nn.initializers.ones
    assert (norm().axis_name, norm().epsilon) == ("devices", 0.1)
    assert model.conv_maker(dtype=jnp.float32)(4, (3, 3)).dtype == jnp.float32
    assert (Tiny(dtype=jnp.float64).wide, model.wide) == (jnp.promote_types(jnp.float64, jnp.float32), jnp.float32)


def test_blocks_are_computed_again_only_where_that_is_asked_for():
    for remat in (False, True):
        model = Tiny(remat=remat)
        variables = jax.eval_shape(model.init, jax.random.key(0), IMAGES)
        assert set(variables["params"]["block"]) == {"conv", "norm"}
        jaxpr = jax.make_jaxpr(lambda v, model=model: model.apply(v, IMAGES, True, mutable=["batch_stats"]))(variables)
        assert sum(equation.primitive.name in ("checkpoint", "remat", "remat2") for equation in jaxpr.eqns) == remat


def test_every_network_of_the_catalog_has_this_base():
    shared = {"remat", "dtype", "param_dtype", "axis_name"}
    for builder in {entry.builder for entry in CATALOG.values()}:
        module, _, name = builder.partition(":")
        network = getattr(importlib.import_module(module), name)
        network = type(network()) if inspect.isfunction(network) else network
        assert issubclass(network, Network)
        assert {field.name for field in dataclasses.fields(network) if field.kw_only} - {"parent", "name"} == shared
