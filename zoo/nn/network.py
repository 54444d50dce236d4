"""What networks of every chapter declare alike: types, the mapped axis, and what is computed twice to save memory."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from zoo.nn.conv import Conv
from zoo.nn.norm import BatchNorm

ModuleMaker = Callable[..., nn.Module]
"""Makes a module: a class, or a `functools.partial` of one with its types and initialisers set."""


class Network(nn.Module, kw_only=True):
    """A network whose layers share these fields, given by keyword; the makers of its layers have them set.

    >>> class Small(Network):
    ...     width: int = 4
    ...
    ...     @nn.compact
    ...     def __call__(self, images):
    ...         return self.conv_maker(use_bias=False)(self.width, (3, 3), name="conv")(images)
    >>> Small(8, dtype=jnp.bfloat16).width
    8
    """

    remat: bool = False
    """Compute activations again in the backward pass, block by block: less memory, more time."""
    dtype: Any = jnp.float32
    """Compute type; the last layers, which are cheap, compute in float32 at least."""
    param_dtype: Any = jnp.float32
    """Storage type of the parameters."""
    axis_name: str | None = None
    """The `pmap` or `shard_map` axis over which batch statistics are averaged, where there are any."""

    @property
    def types(self) -> dict[str, Any]:
        """The types as options of a layer."""
        return {"dtype": self.dtype, "param_dtype": self.param_dtype}

    @property
    def wide(self) -> Any:
        """The compute type of what is cheap and wants more digits than bfloat16 has: means and last layers."""
        return jnp.promote_types(self.dtype, jnp.float32)

    def conv_maker(self, **options: Any) -> ModuleMaker:
        """Makes convolutions with these options."""
        return functools.partial(Conv, **{**self.types, **options})

    def norm_maker(self, **options: Any) -> ModuleMaker:
        """Makes batch normalisations, called with (x, use_running_average), with these options."""
        return functools.partial(BatchNorm, **{"axis_name": self.axis_name, **self.types, **options})

    def rematerialised(self, block: type[nn.Module], static_argnums: tuple[int, ...] = (2,)) -> type[nn.Module]:
        """The class of a block, with `remat` one that is computed again in the backward pass.

        Args:
          block: the class.
          static_argnums: which of its call's arguments, counted from self, are plain values: of (x, train) the second.
        """
        return nn.remat(block, static_argnums=static_argnums) if self.remat else block
