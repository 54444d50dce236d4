"""Repeats a finished run beside the first, and compares the fingerprints of the final parameters."""

import json
from pathlib import Path

from train.console import Console
from train.loop import fit
from train.workdir import Workdir, WorkdirError, devices, free_workdir, versions


def rerun(path: Path) -> int:
    """Trains the run's recipe again in a folder of its own.

    Returns:
      0 when the parameters are bit-identical, 1 when not, 130 when interrupted; says which versions or
      devices differ.

    Raises:
      WorkdirError: the run is not finished.
    """
    files, console = Workdir(path), Console()
    recipe, card = files.read_recipe(), files.read_card()
    if not files.finished:
        raise WorkdirError(f"{path} is not finished; a run can be compared with once it is")
    expected = json.loads(files.fingerprint.read_text())["fingerprint"]
    outcome = fit(recipe, free_workdir(path.parent, f"{path.name}-rerun"), console=console)
    if outcome.fingerprint is None:
        return outcome.exit_code
    if outcome.fingerprint == expected:
        console.say(f"identical, bit for bit: {expected}")
        return 0
    console.say(f"different: {expected} was, {outcome.fingerprint} is")
    now = {**versions(), "devices": ", ".join(devices())}
    then = {**card["versions"], "devices": ", ".join(card["devices"])}
    for name in now:
        if now[name] != then.get(name):
            console.say(f"  {name}: {then.get(name)} then, {now[name]} now")
    return 1
