"""Training on the sphere, seen: where some held-out examples lie after each evaluation, kept and drawn. Lecture L94."""

import io

import numpy as np
from jaxtyping import Float

from train import journal
from train.assemble import Assembly
from train.files import write_bytes
from train.workdir import Workdir
from zoo.hyperspheres.losses import TINY

FRAMES = 24
"""Most evaluations that the picture shows, spread over the run."""


def keep_embedding(files: Workdir, step: int, points: Float[np.ndarray, "points dims"] | None) -> None:
    """Writes down where the examples lie, as unit vectors, if the task has a sphere.

    Outputs grow as they please, past what half precision holds. One that has no direction lies in the centre.
    """
    if points is None:
        return
    points = points.astype(np.float64)
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    directed = np.isfinite(lengths) & (lengths > TINY)
    unit = np.divide(points, lengths, out=np.zeros_like(points), where=directed)
    files.embeddings.mkdir(exist_ok=True)
    buffer = io.BytesIO()
    np.save(buffer, unit.astype(np.float16), allow_pickle=False)
    write_bytes(files.embeddings / f"{step}.npy", buffer.getvalue())


def on_the_sphere(files: Workdir, assembly: Assembly) -> str:
    """The run's evaluations as one moving picture in HTML; nothing of a task without a sphere."""
    from zoo.hyperspheres.globe import globe

    steps = sorted(int(file.stem) for file in files.embeddings.glob("*.npy") if file.stem.isdecimal())
    if not steps:
        return ""
    shown = [steps[i] for i in np.unique(np.linspace(0, len(steps) - 1, FRAMES).round().astype(int))]
    frames = np.stack([np.load(files.embeddings / f"{step}.npy", allow_pickle=False) for step in shown])
    frames = frames.astype(np.float32)
    rows = range(frames.shape[1])
    test, task = assembly.test.read(rows), assembly.task
    said = {record["step"]: record for record in journal.read(files.metrics) if record["kind"] == "eval"}
    learned = assembly.recipe.task
    bounds = () if learned.learns_labels else (f"{task.lower:g}", f"{task.upper:g}")
    return globe(
        task.on_sphere(),
        frames,
        test["label"] if learned.learns_labels else None,
        class_names=bounds or task.class_names,
        titles=[_title(said.get(step, {"step": step}), task.best) for step in shown],
        values=None if learned.learns_labels else test["target"],  # of both, the place shows the value
        unit=getattr(task, "unit", ""),
    )


def _title(record: dict, best: str) -> str:
    epoch = f"epoch {record['epoch']:.4g}" if "epoch" in record else f"step {record['step']}"
    if best not in record:
        return epoch
    return f"{epoch}: {record[best]:.1%}" if best == "accuracy" else f"{epoch}: {best} {record[best]:.3g}"
