"""The chapter's README says what is true: its snippet runs, and what its table names exists."""

import re
from pathlib import Path

import numpy as np

from zoo import hyperspheres

README = Path(hyperspheres.__file__).with_name("README.md").read_text()


def test_one_line_makes_a_network_a_hyperspherical_one():
    (snippet,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    quicker = snippet.replace("classes=100, dims=25", "classes=10, dims=9").replace("cifar_resnet20", "mlp")
    namespace: dict = {}
    exec(quicker, namespace)
    assert namespace["outputs"].shape == (2, 9)
    assert np.isfinite(namespace["loss"])
    assert namespace["predicted"].shape == (2,)


def test_functions_of_the_table_exist():
    table = [line for line in README.splitlines() if line.startswith("| L")]
    names = {name for line in table for name in re.findall(r"`(\w+)`", line.split("|")[3])}
    assert len(names) > 20
    assert [name for name in sorted(names) if not hasattr(hyperspheres, name)] == []
