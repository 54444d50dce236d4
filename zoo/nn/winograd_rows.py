"""Variant: a loop over the four rows of the 16 products."""
import jax, jax.numpy as jnp, math
from jax import lax
from zoo.nn.winograd import _tiles, _pieces, _of_kernel, _to_kernel, _TURNED, WIDE
from zoo.nn.forms import Form, transpose_of_input_gradient, transpose_of_weight_gradient
from zoo.nn.pieces import in_pieces, summed_over_pieces
from zoo.nn.products import narrow_first

FIRST, SECOND, SIGN = (0, 1, 2, 1), (2, 2, 1, 3), (-1.0, 1.0, -1.0, -1.0)
TOP, BOTTOM = (1.0, 1.0, 1.0, 0.0), (0.0, 1.0, -1.0, -1.0)

def _phases(images, padding, tiles):
    batch, height, width, channels = images.shape
    pads = [(before, 2 * count + 2 - size - before, 0) for (before, _), count, size in zip(padding, tiles, (height, width), strict=True)]
    images = lax.pad(images, jnp.zeros((), images.dtype), ((0, 0, 0), *pads, (0, 0, 0)))
    return images.reshape(batch, tiles[0] + 1, 2, tiles[1] + 1, 2, channels)

def _row(phases, first, second, sign, tiles):
    def at(i):
        b, _, _, w, _, c = phases.shape
        return lax.dynamic_slice(phases, (0, i // 2, i % 2, 0, 0, 0), (b, tiles[0], 1, w, 2, c)).reshape(b, tiles[0], w, 2, c)
    row = lax.optimization_barrier(at(first) + sign * at(second))
    even, odd = row[:, :, :, 0], row[:, :, :, 1]
    d0, d1, d2, d3 = even[:, :, :-1], odd[:, :, :-1], even[:, :, 1:], odd[:, :, 1:]
    return [p.reshape(-1, p.shape[-1]) for p in (d0 - d2, d1 + d2, d2 - d1, d1 - d3)]

ROWS = (jnp.array if False else (lambda x: x))

def _xs():
    return jnp.array(FIRST), jnp.array(SECOND), jnp.array(SIGN, jnp.float32)

def _kernels(kernel):
    parts = _of_kernel.__wrapped__(kernel) if hasattr(_of_kernel, "__wrapped__") else _parts(kernel)
    return parts

def _parts(kernel, turned=False):
    def along(k0, k1, k2): return [k0, (k0 + k1 + k2) / 2, (k0 - k1 + k2) / 2, k2]
    columns = [along(*kernel[:, j]) for j in range(3)]
    grid = [along(*row) for row in zip(*columns, strict=True)]
    if turned: grid = [[grid[_TURNED[a]][_TURNED[b]] for b in range(4)] for a in range(4)]
    return lax.optimization_barrier(jnp.stack([jnp.stack(r) for r in grid]))

def _filtered(padding, images, kernels, turned):
    sizes = [size + sum(pads) - 2 for size, pads in zip(images.shape[1:3], padding, strict=True)]
    tiles = _tiles(sizes)
    features = kernels.shape[-2 if turned else -1]
    def one(images):
        phases = _phases(images, padding, tiles)
        def body(_, xs):
            first, second, sign, k = xs
            m = [lax.dot_general(p, k[b], (((1,), (1 if turned else 0,)), ((), ()))) for b, p in enumerate(_row(phases, first, second, sign, tiles))]
            return None, jnp.stack([m[0] + m[1] + m[2], m[1] - m[2] - m[3]])
        _, z = lax.scan(body, None, (*_xs(), kernels))
        z = z.reshape(4, 2, -1, *tiles, features)
        y = jnp.stack([z[0] + z[1] + z[2], z[1] - z[2] - z[3]])  # row, column, n, th, tw, o
        y = y.transpose(2, 3, 0, 4, 1, 5).reshape(-1, 2 * tiles[0], 2 * tiles[1], features)
        return y[:, : sizes[0], : sizes[1]]
    return in_pieces(one, _pieces(images.shape[0], tiles, kernels.shape), images)

def _forward(geometry, images, kernel): return _filtered(geometry.padding, images, _parts(kernel), False)
def _input_gradient(geometry, shape, kernel, out):
    padding = tuple((2 - before, 2 - after) for before, after in geometry.padding)
    return _filtered(padding, out, _parts(kernel, True), True)
def _weight_gradient(geometry, shape, images, out):
    tiles = _tiles(out.shape[1:3])
    def products(images, out):
        phases = _phases(images, geometry.padding, tiles)
        b, h, w, o = out.shape
        out = jnp.pad(out, ((0, 0), (0, 2 * tiles[0] - h), (0, 2 * tiles[1] - w), (0, 0))).reshape(b, tiles[0], 2, tiles[1], 2, o)
        def body(_, xs):
            first, second, sign, top, bottom = xs
            row = lax.optimization_barrier(top * out[:, :, 0] + bottom * out[:, :, 1])
            y0, y1 = row[:, :, :, 0], row[:, :, :, 1]
            s = [p.reshape(-1, o) for p in (y0, y0 + y1, y0 - y1, -y1)]
            return None, jnp.stack([narrow_first(a, c) for a, c in zip(_row(phases, first, second, sign, tiles), s, strict=True)])
        _, d = lax.scan(body, None, (*_xs(), jnp.array(TOP, jnp.float32), jnp.array(BOTTOM, jnp.float32)))
        return d.reshape(16, *d.shape[2:])
    count = _pieces(out.shape[0], tiles, shape) if min(shape[-2:]) < WIDE else 1
    return _to_kernel(summed_over_pieces(products, count, images, out))

FORM = Form(_forward, transpose_of_input_gradient(_input_gradient), transpose_of_weight_gradient(_weight_gradient))
