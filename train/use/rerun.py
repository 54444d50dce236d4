"""Repeats a finished run beside the first, and compares the fingerprints of the final parameters."""

from pathlib import Path

from train.engine import exact
from train.engine.console import Console
from train.engine.loop import fit
from train.engine.transfer import check_origin
from train.store.workdir import Workdir, take_free_folder


def rerun(path: Path, console: Console | None = None) -> int:
    """Trains the run's recipe again in a folder of its own.

    Returns:
      0 when the parameters are bit-identical, 1 when not, and says which versions or devices differ;
      130 after Ctrl-C, 1 after another signal: then nothing was compared.

    Raises:
      WorkdirError: the run is not finished.
      RecipeError: the weights that it began with have changed.
    """
    files, console = Workdir(path), console or Console(lasting=True)
    recipe = files.read_recipe()
    expected = files.read_fingerprint()
    check_origin(recipe, files.read_card())
    outcome = fit(recipe, take_free_folder(path.resolve().parent, f"{path.resolve().name}-rerun"), console=console)
    if outcome.fingerprint is None:
        return outcome.exit_code or 1
    if outcome.fingerprint == expected:
        console.say(f"identical, bit for bit: {expected}")
        return 0
    console.say(f"different: {expected} was, {outcome.fingerprint} is")
    if not (exact.was_exact(files.read_card()) and exact.in_force()):
        console.say("  which says nothing: on a GPU without exact kernels two runs need not be the same")
    for change in files.changes():
        console.say(f"  {change}")
    return 1
