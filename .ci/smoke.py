"""What the package has to do where it is installed: run by the Python of that environment."""

import importlib.metadata
import importlib.resources
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import numpy as np

import train
import zoo

SCRIPTS = Path(sysconfig.get_path("scripts"))
HERE = Path(sysconfig.get_path("purelib"))


def say(*command: str, cwd: str) -> str:
    """What an installed command prints; it has to succeed."""
    done = subprocess.run([SCRIPTS / command[0], *command[1:]], cwd=cwd, capture_output=True, text=True, timeout=300)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    """Files, the library, both commands, and a run that ends with a report."""
    for package in (zoo, train):
        assert HERE in Path(package.__file__).parents, f"expected {package.__name__} in {HERE}, got {package.__file__}"
    files = importlib.metadata.files("lecture-vision-zoo")
    assert not [file for file in files if "tests" in file.parts or file.name.startswith("test_")]
    for name in ("zoo/py.typed", "train/py.typed", "zoo/catalog/pretrained.csv", "zoo/hyperspheres/globe.js"):
        assert importlib.resources.files(name.split("/")[0]).joinpath(*name.split("/")[1:]).is_file(), name
    assert zoo.describe("resnet50").pretrained
    with tempfile.TemporaryDirectory() as folder:
        assert "28 x 28 x 1" in say("zoo", "list", "lenet5", cwd=folder)
        say("zoo-train", "fit", "digits_mlp", "--epochs", "1", cwd=folder)
        run = Path(folder) / "runs" / "digits_mlp"
        assert (run / "report.html").stat().st_size > 10_000
        options = {"num_classes": 10, "hidden": (256, 128)}
        variables = zoo.load_weights("mlp", run / "model.safetensors", (8, 8, 1), **options)
        logits = zoo.create("mlp", **options).apply(variables, np.zeros((2, 8, 8, 1), np.float32))
        assert logits.shape == (2, 10)
        assert np.isfinite(logits).all()
    print(f"installed {importlib.metadata.version('lecture-vision-zoo')} on Python {sys.version.split()[0]}: works")


if __name__ == "__main__":
    main()
