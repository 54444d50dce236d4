"""The forms of convolution on CPU, over drawn geometries, against lax in float64; and under JAX's transformations."""

import contextlib
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import export
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from zoo.nn import by_taps, conv, convolution, few_channels, few_places, frames, many_images, pointwise, winograd
from zoo.nn.geometry import Geometry, plain

FORMS = {
    "winograd": winograd,
    "pointwise": pointwise,
    "strided": by_taps,
    "two taps wide": by_taps,
    "few channels": few_channels,
}

LIMITS = {  # what makes a form take every convolution of its kind, however small
    "winograd": {"MULTIPLICATIONS": 0, "CHANNELS": 1},
    "pointwise": {},
    "strided": {"PLACES": 0, "CHANNELS": 1},
    "two taps wide": {},
    "few channels": {"PLACES": 0, "FEATURES": 1},
}


@contextlib.contextmanager
def always(form, piece_bytes=winograd.BYTES):
    """This form takes what it can, and no other takes anything."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (winograd, few_channels, by_taps, few_places, many_images):
            if module is not FORMS[form]:
                patch.setattr(module, "fits", lambda *_: False)
        for name, limit in LIMITS[form].items():
            patch.setattr(FORMS[form], name, limit)
        patch.setattr(winograd, "BYTES", piece_bytes)
        yield


@st.composite
def cases(draw, form):
    """(shape of the images, of the kernel, strides, padding) of a convolution that the form takes."""
    size = functools.partial(st.integers, 1)
    known = {"winograd": (3, 3), "strided": (3, 3), "pointwise": (1, 1)}
    if form == "two taps wide":
        known[form] = draw(st.sampled_from([(2, 2), (2, 1), (1, 2), (2, 3), (4, 2)]))
    window = known.get(form) or draw(st.tuples(size(7), size(7)).filter(lambda window: max(window) > 1))
    strides = {
        "winograd": (1, 1),
        "two taps wide": (1, 1),
        "strided": draw(st.tuples(st.integers(2, 3), st.integers(2, 3))),
    }
    strides = strides.get(form) or draw(st.tuples(size(3), size(3)))
    pad = st.just(0) if form == "pointwise" else st.integers(0, 2)
    padding = draw(st.tuples(st.tuples(pad, pad), st.tuples(pad, pad)))
    smallest = [max(1, extent - sum(pads)) for extent, pads in zip(window, padding, strict=True)]
    space = [draw(st.integers(least, least + 7)) for least in smallest]
    channels = draw(size(few_channels.CHANNELS if form == "few channels" else 5))
    return (draw(size(4)), *space, channels), (*window, channels, draw(size(5))), strides, padding


def normal(seed, *shapes):
    random = np.random.default_rng(seed)
    return [random.standard_normal(shape).astype(np.float32) for shape in shapes]


def laxs(images, kernel, strides, padding):
    return plain(Geometry(tuple(strides), tuple(padding), (1, 1), 1), images, kernel)


def results(function, images, kernel, along, slopes):
    """Value, derivative along tangents of both arguments, and the gradients of both."""
    value, pullback = jax.vjp(function, images, kernel)
    return value, jax.jvp(function, (images, kernel), along)[1], pullback(slopes)


def assert_close(ours, theirs, tolerance=1e-5):
    for a, b in zip(*map(jax.tree.leaves, (ours, theirs)), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1.0, float(np.abs(b).max(initial=0))))


@pytest.mark.parametrize("examples", [6, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize("form", FORMS)
def test_value_and_derivatives_in_both_modes_are_laxs_in_float64(form, examples):
    @settings(max_examples=examples, deadline=None, derandomize=True, database=None)
    @given(cases(form), st.sampled_from([winograd.BYTES, 1.0]))
    def check(case, piece_bytes):
        images, kernel, strides, padding = case
        ours = functools.partial(convolution, strides=strides, padding=padding)
        theirs = functools.partial(laxs, strides=strides, padding=padding)
        out = jax.eval_shape(theirs, *(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in (images, kernel)))
        images, kernel, *along, slopes = normal(0, images, kernel, images, kernel, out.shape)
        along = tuple(along)
        with always(form, piece_bytes):
            geometry = Geometry(strides, padding, (1, 1), 1)
            assert conv._form(geometry, images, kernel, 1) is FORMS[form].FORM
            found = jax.jit(functools.partial(results, ours))(images, kernel, along, slopes)
        with jax.enable_x64(True):
            wide = jax.tree.map(lambda array: jnp.asarray(array, jnp.float64), (images, kernel, along, slopes))
            expected = jax.jit(functools.partial(results, theirs))(*wide)
        assert_close(found, expected)

    check()


@pytest.mark.slow  # convolutions of full size in float64
@pytest.mark.parametrize(
    ("form", "images", "kernel"),
    [
        (winograd, (8, 56, 56, 64), (3, 3, 64, 64)),  # in two pieces of the batch
        (winograd, (8, 7, 7, 512), (3, 3, 512, 512)),
        (by_taps, (8, 57, 57, 64), (3, 3, 64, 128)),
        (few_channels, (4, 112, 112, 3), (7, 7, 3, 64)),
    ],
)
def test_layers_of_the_sizes_people_use_take_a_form_and_are_laxs_in_float64(form, images, kernel):
    strides = (1, 1) if form is winograd else (2, 2)
    padding = ((kernel[0] // 2,) * 2,) * 2
    geometry = Geometry(strides, padding, (1, 1), 1)
    ours = functools.partial(convolution, strides=strides, padding=padding)
    theirs = functools.partial(laxs, strides=strides, padding=padding)
    out = jax.eval_shape(theirs, *(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in (images, kernel)))
    images, kernel, *along, slopes = normal(0, images, kernel, images, kernel, out.shape)
    assert conv._form(geometry, images, kernel, out.shape[1] * out.shape[2]) is form.FORM
    found = jax.jit(functools.partial(results, ours))(images, kernel, tuple(along), slopes)
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda array: jnp.asarray(array, jnp.float64), (images, kernel, tuple(along), slopes))
        expected = jax.jit(functools.partial(results, theirs))(*wide)
    assert_close(found, expected)


EXAMPLES = {  # form -> (shape of the images, of the kernel, strides, padding)
    "winograd": ((2, 5, 6, 3), (3, 3, 3, 2), (1, 1), ((1, 1), (2, 0))),
    "pointwise": ((2, 5, 6, 3), (1, 1, 3, 2), (2, 1), ((0, 0), (0, 0))),
    "strided": ((2, 5, 6, 3), (3, 3, 3, 2), (2, 2), ((1, 1), (1, 1))),
    "two taps wide": ((2, 5, 6, 3), (2, 3, 3, 2), (1, 1), ((1, 1), (0, 1))),
    "few channels": ((2, 7, 6, 3), (5, 3, 3, 2), (2, 1), ((2, 1), (1, 1))),
}


def example(form):
    images, kernel, strides, padding = EXAMPLES[form]
    options = {"strides": strides, "padding": padding}
    return normal(1, images, kernel), *(functools.partial(function, **options) for function in (convolution, laxs))


@pytest.mark.parametrize("form", FORMS)
def test_derivatives_of_second_order_are_laxs(form):
    (images, kernel), ours, theirs = example(form)
    along = tuple(normal(2, images.shape, kernel.shape))

    def second(function):
        gradient = jax.grad(lambda x, k: jnp.sin(function(x, k)).sum(), (0, 1))
        slope = lambda *at: sum(map(jnp.vdot, gradient(*at), along))  # noqa: E731
        forward_over_reverse = jax.jvp(gradient, (images, kernel), along)[1]
        return forward_over_reverse, jax.grad(slope, (0, 1))(images, kernel)

    with always(form):
        found = jax.jit(lambda: second(ours))()
    assert_close(found, jax.jit(lambda: second(theirs))(), 1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_vmap_and_checkpoint_change_nothing(form):
    (images, kernel), ours, theirs = example(form)
    images, kernels = np.stack([images, 2 * images]), np.stack([kernel, kernel**2])

    def mapped(function):
        return jax.vmap(jax.grad(lambda x, k: jnp.square(jax.checkpoint(function)(x, k)).sum(), (0, 1)))

    with always(form):
        found = jax.jit(mapped(ours))(images, kernels)
    assert_close(found, jax.jit(mapped(theirs))(images, kernels))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
def test_other_types_are_as_exact_as_lax(form, dtype):
    (images, kernel), ours, theirs = example(form)
    with jax.enable_x64(dtype == "float64"):
        exact = [jnp.asarray(array, dtype) for array in (images, kernel)]
        wide = [array.astype(jnp.promote_types(dtype, jnp.float32)) for array in exact]

        def value_and_gradients(function, arguments):
            value, pullback = jax.vjp(function, *arguments)
            return value, pullback(jnp.ones_like(value))

        with always(form):
            _, _, strides, padding = EXAMPLES[form]
            taken = conv._form(Geometry(strides, padding, (1, 1), 1), *exact, 1)
            assert taken is (pointwise.FORM if form == "pointwise" else None)
            found = jax.jit(functools.partial(value_and_gradients, ours))(exact)
        expected = jax.jit(functools.partial(value_and_gradients, theirs))(wide)
    assert all(leaf.dtype == dtype for leaf in jax.tree.leaves(found))
    found, expected = (jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree) for tree in (found, expected))
    assert_close(found, expected, 2**-7 if dtype == "bfloat16" else 1e-12)


@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize(("batch", "channels"), [(0, 3), (2, 0)])
def test_of_nothing_comes_nothing(window, batch, channels):
    images, kernel = jnp.zeros((batch, 5, 5, channels)), jnp.zeros((window, window, channels, 2))
    gradients = jax.grad(lambda x, k: convolution(x, k).sum(), (0, 1))(images, kernel)
    assert [gradient.shape for gradient in gradients] == [images.shape, kernel.shape]
    assert not gradients[1].any()


@pytest.mark.parametrize("form", FORMS)
def test_a_mesh_of_explicit_axes_and_shards_of_several_pieces_give_laxs_gradients(form):
    (images, kernel), ours, theirs = example(form)
    images = np.concatenate([images] * 2)
    gradient = lambda function, x, k: jax.grad(lambda x, k: jnp.sin(function(x, k)).sum(), (0, 1))(x, k)  # noqa: E731
    expected = jax.jit(functools.partial(gradient, theirs))(images, kernel)
    batch, everywhere = PartitionSpec("data"), PartitionSpec()
    with always(form, 1.0):
        for kind in (AxisType.Explicit, AxisType.Auto):
            mesh = jax.make_mesh((1,), ("data",), axis_types=(kind,))
            placed = (
                jax.device_put(images, NamedSharding(mesh, batch)),
                jax.device_put(kernel, NamedSharding(mesh, everywhere)),
            )
            assert_close(jax.jit(functools.partial(gradient, ours))(*placed), expected)
        sharded = jax.shard_map(
            lambda x, k: gradient(ours, x, k), mesh=mesh, in_specs=(batch, everywhere), out_specs=(batch, everywhere)
        )
        assert_close(jax.jit(sharded)(images, kernel), expected)


def operations(lowered):
    text = lowered.as_text()
    names = ("convolution", "dot_general", "pad", "while")
    return {name: text.count(f"stablehlo.{name}(") + text.count(f"stablehlo.{name} ") for name in names}


@pytest.mark.parametrize("form", FORMS)
def test_gpu_and_tpu_keep_laxs_convolutions_with_laxs_gradients(form):
    (images, kernel), ours, theirs = example(form)

    def gradients(function):
        return jax.jit(jax.grad(lambda x, k: jnp.sin(function(x, k)).sum(), (0, 1))).trace(images, kernel)

    with always(form):
        found, expected = gradients(ours), gradients(theirs)
        for platform in ("cuda", "rocm", "tpu"):
            of_lax = operations(expected.lower(lowering_platforms=(platform,)))
            assert of_lax["convolution"] == 3
            assert operations(found.lower(lowering_platforms=(platform,))) == of_lax
        on_cpu = operations(found.lower(lowering_platforms=("cpu",)))
    assert on_cpu["dot_general"] >= 1
    assert on_cpu["convolution"] == (0 if form in ("winograd", "pointwise") else 2)


@pytest.mark.parametrize("form", FORMS)
def test_exported_programs_take_batches_of_any_size(form):
    (images, kernel), ours, theirs = example(form)

    def gradient(function, images, kernel):
        return jax.grad(lambda k: jnp.square(function(images, k)).sum())(kernel)

    (batch,) = export.symbolic_shape("batch")
    shapes = (
        jax.ShapeDtypeStruct((batch, *images.shape[1:]), jnp.float32),
        jax.ShapeDtypeStruct(kernel.shape, jnp.float32),
    )
    with always(form):
        program = jax.jit(functools.partial(gradient, ours))
        exported = export.export(program, platforms=("cpu", "cuda", "tpu"))(*shapes)
    assert_close(exported.call(images, kernel), jax.jit(functools.partial(gradient, theirs))(images, kernel))


def test_what_a_form_does_not_fit_stays_laxs():
    def lowered(images, kernel, dtype=jnp.float32, **options):
        images, kernel = jnp.zeros(images, dtype), jnp.zeros(kernel, dtype)
        function = functools.partial(convolution, **options)
        return operations(jax.jit(function).trace(images, kernel).lower(lowering_platforms=("cpu",)))

    square, plenty = (3, 3, 32, 32), (16, 64, 64, 32)  # 2**26 multiplications a tap
    assert lowered(plenty, square, padding=1)["convolution"] == 0
    for images, kernel, options in (
        ((15, 64, 64, 32), square, {"padding": 1}),
        (plenty, square, {"padding": 3}),
        (plenty, square, {"padding": 2, "dilation": 2}),
        (plenty, square, {"padding": 1, "dtype": jnp.bfloat16}),
        ((16, 64, 64, 64), (3, 3, 64, 16), {"padding": 1}),
        (plenty, (3, 5, 32, 32), {"padding": 1}),
        ((16, 4096, 32), (3, 32, 32), {"padding": 1}),
    ):
        assert lowered(images, kernel, **options)["convolution"] == 1


CLIPS = {  # name -> (shape of the clips, of the kernel, strides, padding, dilation)
    "3x3x3": ((2, 4, 5, 6, 3), (3, 3, 3, 3, 2), (1, 1, 1), ((1, 1),) * 3, (1, 1, 1)),
    "a stem": ((1, 5, 9, 8, 3), (3, 5, 5, 3, 4), (1, 2, 2), ((1, 1), (2, 2), (2, 2)), (1, 1, 1)),
    "strided and dilated in time": ((2, 9, 4, 5, 5), (2, 3, 2, 5, 3), (3, 1, 2), ((1, 0), (0, 2), (1, 1)), (2, 1, 2)),
    "time alone": ((2, 6, 3, 3, 2), (4, 1, 1, 2, 3), (2, 1, 1), ((2, 3), (0, 0), (0, 0)), (1, 1, 1)),
    "in two groups": ((1, 4, 5, 4, 6), (3, 2, 3, 3, 4), (1, 1, 2), ((1, 1), (1, 0), (1, 1)), (1, 1, 1)),
}


@pytest.mark.parametrize("case", CLIPS)
def test_clips_are_the_sum_of_frames_on_cpu_and_laxs_elsewhere(case, monkeypatch):
    monkeypatch.setattr(frames, "MULTIPLICATIONS", 0)
    clips, kernel, strides, padding, dilation = CLIPS[case]
    groups = clips[-1] // kernel[-2]
    geometry = Geometry(strides, padding, dilation, groups)
    ours = functools.partial(convolution, strides=strides, padding=padding, dilation=dilation, groups=groups)
    theirs = functools.partial(plain, geometry)
    out = jax.eval_shape(theirs, *(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in (clips, kernel)))
    clips, kernel, *along, slopes = normal(0, clips, kernel, clips, kernel, out.shape)
    arguments = clips, kernel, tuple(along), slopes
    found, expected = (jax.jit(functools.partial(results, function)) for function in (ours, theirs))
    assert_close(found(*arguments), expected(*arguments))

    def gradients(function):
        return jax.jit(jax.grad(lambda x, k: jnp.sin(function(x, k)).sum(), (0, 1))).trace(clips, kernel)

    lowered = {
        platform: gradients(ours).lower(lowering_platforms=(platform,)).as_text() for platform in ("cpu", "cuda")
    }
    laxs_own = gradients(theirs).lower(lowering_platforms=("cuda",))
    assert operations(gradients(ours).lower(lowering_platforms=("cuda",))) == operations(laxs_own)
    assert "0, 1, 2, f]" in lowered["cuda"]  # a convolution over three axes
    assert "0, 1, 2, f]" not in lowered["cpu"]


def test_clips_of_half_precision_stay_laxs_which_round_once(monkeypatch):
    monkeypatch.setattr(frames, "MULTIPLICATIONS", 0)
    clips, kernel = (jnp.asarray(array, jnp.bfloat16) for array in normal(0, *CLIPS["3x3x3"][:2]))
    lowered = jax.jit(functools.partial(convolution, padding=1)).trace(clips, kernel).lower(lowering_platforms=("cpu",))
    assert "0, 1, 2, f]" in lowered.as_text()


def test_clips_keep_their_second_derivatives_their_vmap_and_symbolic_batches(monkeypatch):
    monkeypatch.setattr(frames, "MULTIPLICATIONS", 0)
    clips, kernel, strides, padding, dilation = CLIPS["strided and dilated in time"]
    clips, kernel = normal(1, clips, kernel)
    ours = functools.partial(convolution, strides=strides, padding=padding, dilation=dilation)
    theirs = functools.partial(plain, Geometry(strides, padding, dilation, 1))

    def curvature(function):
        gradient = jax.grad(lambda x, k: jnp.sin(function(x, k)).sum(), (0, 1))
        return jax.jit(lambda: jax.jvp(gradient, (clips, kernel), (clips, kernel))[1])()

    assert_close(curvature(ours), curvature(theirs), 1e-4)
    many = jnp.stack([clips, 2 * clips]), jnp.stack([kernel, kernel**2])
    assert_close(jax.jit(jax.vmap(ours))(*many), jax.jit(jax.vmap(theirs))(*many))
    (batch,) = export.symbolic_shape("batch")
    shapes = (
        jax.ShapeDtypeStruct((batch, *clips.shape[1:]), jnp.float32),
        jax.ShapeDtypeStruct(kernel.shape, jnp.float32),
    )
    exported = export.export(jax.jit(ours), platforms=("cpu", "cuda"))(*shapes)
    assert_close(exported.call(clips, kernel), jax.jit(theirs)(clips, kernel))
