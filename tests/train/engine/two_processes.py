"""One of several processes that train together; `test_placement.py` starts them, on one machine.

`python -m tests.train.engine.two_processes PORT PROCESSES PROCESS` prints losses and a sum of the parameters.
"""

import json
import sys

import jax
import numpy as np

SIZE, STEPS = 16, 3


def main(port: int, processes: int, process: int) -> None:
    if processes > 1:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(f"localhost:{port}", processes, process)
    from tests.train.small import TASK, Net, make_state
    from train.config import Augment, Optimizer
    from train.data import ArraySource, Facts, GrainPipeline, MemoryPipeline, augment
    from train.engine.feed import GrainFeed, MemoryFeed
    from train.engine.optim import make_optimizer
    from train.engine.placement import make_placement
    from train.engine.step import make_update

    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (40, 4, 4, 1)).astype(np.uint8), np.arange(40, dtype=np.int32) % 3
    source = ArraySource("forty", {"image": images, "label": labels}, facts=Facts(classes=TASK.class_names))
    optimizer = make_optimizer(Optimizer("sgd"), lambda count: 0.1)
    model = Net(dropout=0.5)
    start = jax.device_get(make_state(model, optimizer, np.zeros((1, 4, 4, 1), np.float32)))
    update = make_update(model, TASK, optimizer)
    vary = augment(Augment(flip=True), source.spec, source.facts, TASK.mixes)
    results = {}
    for name, chunk in (("jit", 1), ("fsdp", 2), ("grain", 1)):
        placement = make_placement("jit" if name == "grain" else name)
        if name == "grain":
            feed = GrainFeed(GrainPipeline(source, SIZE, 1, 0, process, processes), placement, vary, update)
        else:
            pipeline = MemoryPipeline(source, SIZE, 1, process, processes)
            feed = MemoryFeed(pipeline, placement, vary, update, chunk)
        state = placement.initialise(lambda: jax.tree.map(jax.numpy.asarray, start))
        losses = []
        for step in range(STEPS):
            state, sums, rows = feed.advance(state, step, 1)
            assert rows.shape == (1, SIZE // processes)
            losses.append(np.ravel(jax.device_get(sums.loss.total)).item())
        feed.close()
        weights = sum(float(np.sum(leaf.addressable_data(0))) for leaf in jax.tree.leaves(state.params))
        results[name] = [*losses, weights]
    print(json.dumps(results))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
