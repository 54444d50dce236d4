"""Attention by cuDNN beside the form that XLA compiles: means, gradients, bits, time and memory. Wants a GPU.

    python -m tests.benchmarks.attention                                   shapes of vision transformers, and ViT-B/16
    python -m tests.benchmarks.attention --batch 2 --rounds 2 --no-model   a trial; where there is no GPU both are XLA's
    XLA_FLAGS=--xla_gpu_deterministic_ops=true python -m tests.benchmarks.attention       as exact training runs have it

Every form of every shape is measured in a process of its own, so that its peak of memory is its own. Errors are the
largest difference from the plain form in float32 with exact products, over the largest of its numbers: cuDNN's should
be no larger than the other's. Whether bits are the same is said of means and gradients of two runs of one program.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

SHAPES = {  # examples, tokens, heads, channels of a head
    "ViT-B/16, 224": (128, 197, 12, 64),
    "ViT-B/16, 384": (32, 577, 12, 64),
    "ViT-H/14, 224": (32, 257, 16, 80),
    "even": (128, 196, 12, 64),
}
FORMS = ("exact", "plain", "fused")
PARTS = ("means", "gradients of queries", "of keys", "of values")


def attention(form: str, shape: list[int], rounds: int, folder: str) -> dict:
    """What one process measures of one form; means and gradients are left in the folder."""
    import jax
    import numpy as np

    from zoo.benchmark import timed
    from zoo.nn.attention import plain_attention
    from zoo.nn.fused_attention import attend, capability, cudnn_applies

    random = np.random.default_rng(0)
    narrow = [jax.numpy.asarray(random.standard_normal(shape), "bfloat16") for _ in range(4)]
    arrays = [array.astype("float32") for array in narrow] if form == "exact" else narrow
    applies = form == "fused" and cudnn_applies(shape, "bfloat16", capability=capability())

    def forward(*parts):
        return attend(*parts, plain_attention) if applies else plain_attention(*parts)

    def gradients(query, key, value, slope):
        values, back = jax.vjp(forward, query, key, value)
        return values, *back(slope)

    with jax.default_matmul_precision("highest" if form == "exact" else "default"):
        compiled = jax.jit(gradients).lower(*arrays).compile()
        first, second = (jax.device_get(compiled(*arrays)) for _ in range(2))
        forwards, both = timed(forward, tuple(arrays[:3]), rounds), timed(gradients, tuple(arrays), rounds)
    np.savez(Path(folder) / f"{form}.npz", *(np.asarray(part, np.float32) for part in first))
    memory = compiled.memory_analysis()
    return {
        "cudnn": "__cudnn$fmha" in compiled.as_text(),
        "same": all(np.array_equal(a, b) for a, b in zip(first, second, strict=True)),
        "forwards": statistics.median(forwards.milliseconds),
        "both": statistics.median(both.milliseconds),
        "memory": None if memory is None else memory.temp_size_in_bytes,
    }


def step(form: str, batch: int, rounds: int) -> dict:
    """What one process measures of a training step of ViT-B/16 in bfloat16."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    import zoo
    from zoo.benchmark import _drawn, _training_step, timed

    model = zoo.create("vit_b_16", dtype=jnp.bfloat16, fused=form == "fused")
    random, key = np.random.default_rng(0), jax.random.key(0, impl="rbg")
    images = jnp.asarray(random.standard_normal((batch, 224, 224, 3)), jnp.float32)
    labels = jnp.asarray(random.integers(0, 1000, batch))
    variables = _drawn(jax.eval_shape(model.init, key, images), random)
    timing = timed(_training_step(model), (variables, (images,), labels, key), rounds, in_place=True)
    peak = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    return {"both": statistics.median(timing.milliseconds), "memory": peak, "compiling": timing.compile_seconds}


def apart(*arguments: object) -> dict | None:
    """What a process of its own measures; None, after its last line, of one that fails."""
    command = [sys.executable, "-m", "tests.benchmarks.attention", "--one", json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(f"  {arguments[1]}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def errors(folder: str, form: str) -> list[float]:
    """The largest error of the means and of each gradient, over the largest number."""
    import numpy as np

    exact, found = (list(np.load(Path(folder) / f"{name}.npz").values()) for name in ("exact", form))
    return [float(np.abs(a - b).max() / np.abs(a).max()) for a, b in zip(exact, found, strict=True)]


def mib(size: int | None) -> str:
    """Bytes in MiB, if known."""
    return "      - MiB" if size is None else f"{size / 2**20:7,.0f} MiB"


def print_shape(name: str, shape: tuple[int, ...], rounds: int) -> None:
    """A line a form."""
    print(f"{name}: {' x '.join(map(str, shape))}")
    with tempfile.TemporaryDirectory() as folder:
        if not apart("attention", "exact", shape, 1, folder):
            return
        for form in FORMS[1:]:
            if found := apart("attention", form, shape, rounds, folder):
                said = ", ".join(f"{part} {e:.1e}" for part, e in zip(PARTS, errors(folder, form), strict=True))
                print(
                    f"  {form:5} {'by cuDNN' if found['cudnn'] else 'by XLA  '} {found['forwards']:8.3f} ms, with "
                    f"gradients {found['both']:8.3f} ms, {mib(found['memory'])} of temporaries, "
                    f"{'the same bits' if found['same'] else 'OTHER BITS'}; errors: {said}",
                    flush=True,
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, help="examples; by default each shape's own")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--no-model", action="store_true", help="without the training step of ViT-B/16")
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        what, *arguments = chosen.one
        print(json.dumps({"attention": attention, "step": step}[what](*arguments)))
        return
    for name, shape in SHAPES.items():
        print_shape(name, (chosen.batch or shape[0], *shape[1:]), chosen.rounds)
    batch = chosen.batch or 128
    for form in () if chosen.no_model else FORMS[1:]:
        if found := apart("step", form, batch, chosen.rounds):
            print(
                f"training step of vit_b_16, {batch} images, bfloat16, {form}: {found['both']:.1f} ms, "
                f"{mib(found['memory'])}, compiled in {found['compiling']:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
