"""A function with other parts: other activations, or another value in place of one of its named outputs.

What jax traces of a function, its jaxpr, is a list of equations that can be edited and evaluated. So neither model
nor module has to know that somebody looks into it. Lecture row L38.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
from jax.extend import core
from jaxtyping import Array, PyTree

Activation = Callable[[Array], Array]
Jaxpr = core.Jaxpr | core.ClosedJaxpr


def with_activations(
    function: Callable[..., PyTree], replacements: Mapping[Activation, Activation]
) -> Callable[..., PyTree]:
    """The function with some of its activations replaced, wherever they are called in it.

    An activation is recognised by what tracing it alone leaves, so it has to be one call of a function that keeps
    its name in a trace, as those of `jax.nn` do. What is replaced by itself is kept whole, with all it calls. The
    replacements may have derivatives of their own (`jax.custom_vjp`).

    Args:
      function: of arrays, or trees of arrays.
      replacements: the new activation by the old one, elementwise functions such as `jax.nn.relu`.

    >>> import jax.numpy as jnp
    >>> with_activations(lambda x: 2 * jax.nn.relu(x), {jax.nn.relu: jnp.abs})(jnp.array([-1.0, 3.0])).tolist()
    [2.0, 6.0]
    """

    def edited(equation: core.JaxprEqn) -> core.JaxprEqn:
        for old, new in replacements.items():
            if _calls(equation, old):
                return _call_of(new, equation.invars[0].aval).replace(invars=equation.invars, outvars=equation.outvars)
        params = {name: _mapped(inside, value) for name, value in equation.params.items()}
        return equation.replace(params=params)

    def inside(jaxpr: Jaxpr) -> Jaxpr:
        if getattr(jaxpr, "jaxpr", jaxpr) is not jaxpr:  # a closed one; newer jax knows one kind alone
            return jaxpr.replace(jaxpr=inside(jaxpr.jaxpr))
        return jaxpr.replace(eqns=[edited(equation) for equation in jaxpr.eqns])

    def changed(*arguments: PyTree) -> PyTree:
        traced, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
        leaves = jax.core.eval_jaxpr(inside(traced.jaxpr), traced.consts, *jax.tree.leaves(arguments))
        return jax.tree.unflatten(jax.tree.structure(shapes), leaves)

    return changed


def continued_from(function: Callable[..., Mapping[str, Array]], name: str) -> Callable[..., Mapping[str, Array]]:
    """The function of (value, *arguments) in which whatever read the output `name` reads the value instead.

    For a network's named features this is all of the network that follows one of them.

    Raises:
      KeyError: there is no such output.
      ValueError: nothing reads that output.

    >>> continued_from(lambda x: {"square": (y := x * x), "sum": y + x}, "square")(10.0, 3.0)["sum"].item()
    13.0
    """

    def continued(value: Array, *arguments: PyTree) -> Mapping[str, Array]:
        traced, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
        jaxpr, structure = traced.jaxpr, jax.tree.structure(shapes)
        own = jax.tree.unflatten(structure, jaxpr.outvars)[name]
        given = jax.make_jaxpr(lambda x: x)(own.aval).jaxpr.invars[0]  # a variable that nothing else names
        if not any(read is own for equation in jaxpr.eqns for read in equation.invars):
            raise ValueError(f"nothing that is computed reads {name}")

        def read_given(atoms: Any) -> list[Any]:
            return [given if atom is own else atom for atom in atoms]

        equations = [equation.replace(invars=read_given(equation.invars)) for equation in jaxpr.eqns]
        rest = jaxpr.replace(invars=[*jaxpr.invars, given], eqns=equations, outvars=read_given(jaxpr.outvars))
        leaves = jax.core.eval_jaxpr(rest, traced.consts, *jax.tree.leaves(arguments), value)
        return jax.tree.unflatten(structure, leaves)

    return continued


def _mapped(change: Callable[[Jaxpr], Jaxpr], value: Any) -> Any:
    """An equation's parameter with the jaxprs in it changed: that of a call or loop, or the branches of a choice."""
    if isinstance(value, Jaxpr):
        return change(value)
    if isinstance(value, tuple) and any(isinstance(part, Jaxpr) for part in value):
        return tuple(_mapped(change, part) for part in value)
    return value


def _calls(equation: core.JaxprEqn, activation: Activation) -> bool:
    """Whether this is the equation that the activation leaves where it is called.

    Known by the text of what it computes, as two traces of one function share no object. Should a later jax trace
    an activation otherwise, both sides of the comparison change alike.
    """
    if len(equation.invars) != 1 or not any(isinstance(value, Jaxpr) for value in equation.params.values()):
        return False
    aval = equation.invars[0].aval
    return equation.primitive is _equation_of(activation, aval).primitive and (
        _text(equation) == _text(_equation_of(activation, aval))
    )


def _call_of(activation: Activation, aval: Any) -> core.JaxprEqn:
    """One equation that calls the activation, whatever it is made of."""
    return jax.make_jaxpr(jax.jit(activation))(aval).jaxpr.eqns[0]


@functools.lru_cache(maxsize=1024)
def _equation_of(activation: Activation, aval: Any) -> core.JaxprEqn:
    equations = jax.make_jaxpr(activation)(aval).jaxpr.eqns
    if len(equations) != 1:
        raise ValueError(f"expected an activation of one call, got {activation} of {len(equations)} operations")
    return equations[0]


def _text(equation: core.JaxprEqn) -> list[str]:
    return [str(value) for value in equation.params.values() if isinstance(value, Jaxpr)]
