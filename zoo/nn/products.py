"""Matrix products in the order of operands that XLA computes fastest on CPU."""

from jax import lax
from jaxtyping import Array, Float


def product(
    a: Float[Array, "rows inner"], b: Float[Array, "..."], transposed: bool = False
) -> Float[Array, "rows columns"]:
    """`a @ b`, or `a @ b.T` where `transposed`, without a transposed copy."""
    return lax.dot_general(a, b, (((1,), (1 if transposed else 0,)), ((), ())))


def narrow_first(a: Float[Array, "rows m"], b: Float[Array, "rows n"]) -> Float[Array, "m n"]:
    """`a.T @ b`, with the narrower on the left, where XLA is faster."""
    over_rows, (rows, columns) = (((0,), (0,)), ((), ())), a.shape
    # With few rows (of a symbolic size there may be many) turning the result around takes longer than is gained.
    if columns <= b.shape[1] or (isinstance(rows, int) and rows <= columns):
        return lax.dot_general(a, b, over_rows)
    # The barrier: otherwise XLA would exchange the operands again, for a product that needs no transpose.
    return lax.optimization_barrier(lax.dot_general(b, a, over_rows)).T
