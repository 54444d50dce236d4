"""The catalog on an accelerator: speed, share of the chip's peak, memory and compile time, beside torch.compile.

    python -m tests.benchmarks.accelerator                              the whole table
    python -m tests.benchmarks.accelerator resnet50 --batch 256         one model
    python -m tests.benchmarks.accelerator mlp --batch 8 --rounds 2     a trial on any machine

Every line is measured in a process of its own, so that its peak of memory is its own and what went before is gone.
A training step is forward and backward pass and plain gradient descent, in place. Float32 is what each library makes
of it: TF32 products on a GPU that has them, for torch by `allow_tf32`. The share of peak counts a step as three times
the inference's operations, and is of the peaks below, dense; a chip that is not among them has none. Torch is
compiled, in channels_last, where torch and torchvision are installed. Attention by cuDNN is compared with XLA's in
`tests.benchmarks.attention`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

MODELS = {  # examples a step
    "resnet50": 256,
    "vit_b_16": 128,
    "convnext_tiny": 128,
    "mobilenet_v2": 256,
    "resnext50_32x4d": 128,
    "efficientnet_b0": 128,
    "densenet121": 128,
    "cifar_resnet20": 128,
}
PEAKS = {  # 10^12 operations a second: bfloat16, and float32 as products of it are computed
    "H100": (989.0, 494.0),
    "H200": (989.0, 494.0),
    "A100": (312.0, 156.0),
    "L4": (121.0, 60.0),
}
DTYPES = ("bfloat16", "float32")


def ours(name: str, batch: int, dtype: str, rounds: int) -> dict:
    """What one process measures of a model of the zoo."""
    import jax

    from zoo.benchmark import benchmark

    found = benchmark(name, batch=batch, rounds=rounds, train=True, dtype=dtype)
    memory = jax.devices()[0].memory_stats() or {}
    return {
        "device": found.device,
        "flops": found.flops,
        "memory": memory.get("peak_bytes_in_use"),
        "inference": statistics.median(found.inference.milliseconds),
        "training": statistics.median(found.training.milliseconds),
        "compiling": found.inference.compile_seconds + found.training.compile_seconds,
    }


def torchs(name: str, batch: int, dtype: str, rounds: int) -> dict:
    """What one process measures of torchvision's model of that name."""
    import torch
    import torchvision

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = getattr(torchvision.models, name)().to(device, memory_format=torch.channels_last)
    side = 224
    images = torch.randn(batch, 3, side, side, device=device).to(memory_format=torch.channels_last)
    labels = torch.randint(0, 1000, (batch,), device=device)
    optimizer = torch.optim.SGD(model.parameters(), 1e-4)
    compiled = torch.compile(model)
    types = torch.autocast(device, torch.bfloat16, enabled=dtype == "bfloat16")

    def inference() -> None:
        model.eval()
        with torch.inference_mode(), types:
            compiled(images)

    def training() -> None:
        model.train()
        optimizer.zero_grad(set_to_none=True)
        with types:
            loss = torch.nn.functional.cross_entropy(compiled(images), labels)
        loss.backward()
        optimizer.step()

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    def measure(call, calls: int = 10) -> tuple[float, float]:
        started = time.perf_counter()
        call()
        wait()
        compiling = time.perf_counter() - started
        times = []
        for turn in range(rounds + 1):
            started = time.perf_counter()
            for _ in range(calls):
                call()
            wait()
            if turn:
                times.append(1e3 * (time.perf_counter() - started) / calls)
        return statistics.median(times), compiling

    (infers, first), (trains, second) = measure(inference), measure(training)
    memory = torch.cuda.max_memory_allocated() if device == "cuda" else None
    return {"inference": infers, "training": trains, "compiling": first + second, "memory": memory}


def apart(library: str, *arguments: object) -> dict | None:
    """What a process of its own measures; None, after its last line, of one that fails."""
    command = [sys.executable, "-m", "tests.benchmarks.accelerator", "--one", library, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(f"  {library} {arguments[0]}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def shares(found: dict, batch: int, dtype: str) -> list[float] | None:
    """The shares of the chip's peak, of inference and of a training step."""
    peaks = next((peak for chip, peak in PEAKS.items() if chip in found["device"]), None)
    if peaks is None:
        return None
    work = batch * found["flops"] / 1e12 / peaks[DTYPES.index(dtype)]
    return [work * times / found[what] * 1e3 for what, times in (("inference", 1), ("training", 3))]


def line(name: str, batch: int, dtype: str, rounds: int, beside: bool) -> str:
    """A row of the table."""
    found = apart("ours", name, batch, dtype, rounds)
    theirs = apart("torchs", name, batch, dtype, rounds) if beside and not name.startswith("cifar") else None
    if found is None:
        return f"{name:18} {batch:5} {dtype:9} failed"
    share = shares(found, batch, dtype)
    columns = [f"{name:18} {batch:5} {dtype:9}"]
    for i, what in enumerate(("inference", "training")):
        columns.append(f"{found[what]:8.2f} ms {1e3 * batch / found[what]:9,.0f}/s")
        columns.append(f"{share[i]:5.0%}" if share else "    -")
        columns.append(
            f"torch {theirs[what]:8.2f} x{found[what] / theirs[what]:5.2f}" if theirs else "torch        -       "
        )
    columns.append(f"{found['memory'] / 2**30:6.2f} GiB" if found["memory"] else "     - GiB")
    columns.append(f"torch {theirs['memory'] / 2**30:6.2f}" if theirs and theirs["memory"] else "torch      -")
    columns.append(f"compiled in {found['compiling']:5.1f} s")
    return "  ".join(columns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(MODELS))
    parser.add_argument("--batch", type=int, help="examples a step; by default each model's own")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--alone", action="store_true", help="without torch")
    parser.add_argument(
        "--one", nargs=5, metavar=("LIBRARY", "NAME", "BATCH", "DTYPE", "ROUNDS"), help=argparse.SUPPRESS
    )
    chosen = parser.parse_args()
    if chosen.one:
        library, name, batch, dtype, rounds = chosen.one
        measure = {"ours": ours, "torchs": torchs}[library]
        print(json.dumps(measure(name, int(batch), dtype, int(rounds))))
        return
    print(f"load {os.getloadavg()[0]:.2f}; ours x / torch: below 1 is ahead")
    for name in chosen.names:
        for dtype in DTYPES:
            print(line(name, chosen.batch or MODELS.get(name, 32), dtype, chosen.rounds, not chosen.alone), flush=True)


if __name__ == "__main__":
    main()
