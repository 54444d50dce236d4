import pytest
from tests.train.harness import recipe, run, lines
pytestmark = pytest.mark.usefixtures("runs")

def test_a(data, tmp_path):
    a = run(recipe(data), tmp_path / "a")
    print(a)
    print((tmp_path/"a"/"metrics.jsonl").read_text())

def test_b(data, tmp_path):
    a = run(recipe(data), tmp_path / "a")
