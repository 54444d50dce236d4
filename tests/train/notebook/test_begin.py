"""How a notebook begins: the scale that device and environment choose, and the devices that it asks for."""

import jax
import pytest

from train import notebook
from train.notebook.begin import Scale


@pytest.mark.parametrize(("said", "full"), [("", False), ("quick", False), ("full", True)])
def test_the_environment_chooses_the_scale_and_else_the_device(said, full, monkeypatch, capsys):
    monkeypatch.setattr("train.engine.exact.in_force", lambda: True)
    monkeypatch.setenv("NOTEBOOK_SCALE", said)
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    scale = notebook.start(exact=False)
    assert scale == Scale("cpu", full)
    assert scale.pick("few", "many") == ("many" if full else "few")
    assert f"scale: {'full' if full else 'quick'}" in capsys.readouterr().out


@pytest.mark.parametrize(("backend", "device"), [("gpu", "gpu"), ("cuda", "gpu"), ("rocm", "gpu"), ("tpu", "tpu")])
def test_an_accelerator_takes_its_time(backend, device, monkeypatch, capsys):
    monkeypatch.delenv("NOTEBOOK_SCALE", raising=False)
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    assert notebook.start(exact=False) == Scale(device, True)
    assert device.upper() in capsys.readouterr().out


def test_a_scale_that_does_not_exist_is_refused(monkeypatch):
    monkeypatch.setenv("NOTEBOOK_SCALE", "fast")
    with pytest.raises(ValueError, match="NOTEBOOK_SCALE: expected quick or full, got 'fast'"):
        notebook.start()


def test_devices_that_come_too_late_are_told_of():
    count = jax.device_count()
    if jax.default_backend() != "cpu":
        pytest.skip("this machine has an accelerator")
    with pytest.raises(ValueError, match=f"expected {count + 3} CPU devices, got {count}: .* restart the kernel"):
        notebook.start(devices=count + 3)
    assert notebook.start(devices=count).device == "cpu"
