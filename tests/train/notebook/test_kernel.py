"""Training in a cell of a notebook: in a real kernel, whose asyncio loop runs and whose stop button is pressed."""

import os
import re

import pytest
from jupyter_client.manager import start_new_kernel

from tests.train.harness import ROOT, recipe, write_data
from train.config import to_dict

pytestmark = pytest.mark.slow  # a kernel imports and compiles for itself: 15 s

SETUP = """
import warnings
warnings.simplefilter("error")
warnings.filterwarnings("default", module="ipykernel")
import os, signal, threading
import zoo.catalog, train, train.engine.finish
from train.config import from_dict
from tests.train import harness
zoo.catalog.CATALOG, train.engine.finish.write_report = harness.CATALOG, harness.write_no_report
os.chdir({folder!r})
recipe = from_dict({recipe!r})
handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
"""


class Kernel:
    """Runs cells; what a cell gave is a list of messages."""

    def __init__(self, manager, client):
        self.manager, self.client = manager, client

    def run(self, code, until=None, seconds=120):
        """Runs a cell, and presses stop once something that is printed or shown holds `until`."""
        messages, pressed = [], []

        def hook(message):
            messages.append(message)
            if until is not None and not pressed and until in str(message["content"].get("text", "")):
                pressed.append(True)
                self.manager.interrupt_kernel()

        reply = self.client.execute_interactive(code, output_hook=hook, timeout=seconds)["content"]
        assert reply["status"] == "ok", "\n".join(reply.get("traceback", ()))
        return messages

    def printed(self, code, **options):
        return "".join(text(message) for message in self.run(code, **options))


def text(message):
    content = message["content"]
    return content.get("text", "") or content.get("data", {}).get("text/plain", "")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebook")
    data = write_data(folder / "tiny.npz")
    manager, client = start_new_kernel(env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"})
    try:
        found = Kernel(manager, client)
        found.run(SETUP.format(folder=str(folder), recipe=to_dict(recipe(data))))
        found.run("whole = train.fit(recipe)")
        yield found
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_a_cell_shows_a_bar_that_moves_and_then_goes_away(kernel):
    messages = kernel.run("harness.slow_down(0.05); train.fit(recipe)")
    shown = [message["content"] for message in messages if message["msg_type"] == "display_data"]
    moved = [message["content"] for message in messages if message["msg_type"] == "update_display_data"]
    assert len(shown) == 1
    assert {content["transient"]["display_id"] for content in (*shown, *moved)} == {shown[0]["transient"]["display_id"]}
    steps = [int(number) for content in moved for number in re.findall(r"(\d+)/24", content["data"]["text/html"])]
    assert steps == sorted(steps)
    assert len(set(steps)) > 2
    assert moved[-1]["data"]["text/html"] == ""
    lines = "".join(text(message) for message in messages if message["msg_type"] == "stream")
    assert "epoch 3  step 24  " in lines
    assert "\x1b" not in lines
    assert messages[-1]["msg_type"] != "error"


def test_a_cell_that_is_stopped_is_saved_and_the_next_goes_on_to_the_same_bits(kernel):
    printed = kernel.printed("stopped = train.fit(recipe, 'stopped')", until="epoch 1 ")
    assert "SIGINT: saved step" in printed
    assert "go on with: train.resume('stopped')" in printed
    said = kernel.printed(
        "print(stopped.interrupted, 8 <= stopped.step < 24, 'fingerprint.json' in os.listdir('stopped'))\n"
        "ended = train.resume(stopped.workdir)\n"
        "print(ended.finished, ended.fingerprint == whole.fingerprint)"
    )
    assert "True True False\n" in said
    assert said.endswith("True True\n")


def test_handlers_are_as_they_were_and_runs_may_be_made_in_threads_too(kernel):
    said = kernel.printed(
        "got = []\n"
        "thread = threading.Thread(target=lambda: got.append(train.fit(recipe)))\n"
        "thread.start(); thread.join()\n"
        "print(got[0].workdir != whole.workdir, got[0].fingerprint == whole.fingerprint)\n"
        "print(handlers == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)))"
    )
    assert said.endswith("True True\nTrue\n")


def test_the_grain_pipeline_works_beside_a_running_loop(kernel):
    said = kernel.printed(
        "grain = train.recipe(recipe, {'data.pipeline': 'grain'})\nprint(train.fit(grain, 'grain').finished)"
    )
    assert said.endswith("True\n")
