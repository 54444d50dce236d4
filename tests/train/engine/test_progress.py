"""What the loop remembers comes back from a checkpoint as it was."""

import json
import math

from train.engine.progress import Progress
from train.store.files import to_json


def test_everything_comes_back():
    progress = Progress(24, 16, {"accuracy": 0.5}, 0.75, 3, 2, 1.5)
    assert Progress.load(json.loads(json.dumps(progress.dump()))) == progress
    assert 3 in progress.dump().values()
    progress.metrics["loss"] = math.nan
    read = Progress.load(json.loads(to_json(progress.dump())))
    assert math.isnan(read.metrics.pop("loss"))
    assert read.metrics == {"accuracy": 0.5}


def test_evaluations_since_the_best_count_on_after_a_resumption():
    progress = Progress()
    for value in (0.5, 0.4, 0.3):
        progress.note_evaluation({"accuracy": value}, value, higher_is_better=True)
    resumed = Progress.load(progress.dump())
    resumed.note_evaluation({"accuracy": 0.5}, 0.5, higher_is_better=True)
    assert (resumed.evaluations_since_best, resumed.best) == (3, 0.5)
