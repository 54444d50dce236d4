"""Checkpoints: bits survive, damage of any file is noticed, and a failed save harms no older one."""

import json
import resource
import shutil
import signal
import warnings

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.config import Metric, Recipe
from train.engine.state import TrainState, fingerprint
from train.store import seal
from train.store.checkpoint import CheckpointError, Checkpoints

ACCURACY = Metric("accuracy", "Accuracy")


def state(step, width=4, **model_state):
    """A state whose every array depends on the step, in all types that a state can have."""
    random = np.random.default_rng(step)
    params = {"dense": {"kernel": jnp.asarray(random.normal(size=(3, width)), jnp.float32)}}
    return TrainState(
        step=jnp.int32(step),
        params=params,
        model_state={"batch_stats": {"mean": jnp.full(width, step / 3)}},
        opt_state=({"mu": jnp.asarray(random.normal(size=(3, width)), jnp.bfloat16)}, None, ()),
        ema={"params": jax.tree.map(lambda x: x / 2, params)},
        key=jax.random.key_data(jax.random.key(step)),
    )


def abstract(of):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), of)


def checkpoints(directory):
    return Checkpoints(directory / "checkpoints", ACCURACY, Recipe())


def save(directory, *steps, accuracy=None, **options):
    writer = checkpoints(directory)
    for step in steps:
        metrics = None if accuracy is None else {"accuracy": accuracy[step]}
        writer.save(step, state(step, **options), {"feed": step}, metrics)
    writer.wait()
    writer.close()
    return writer


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A folder with the checkpoints of steps 1 and 2."""
    directory = tmp_path_factory.mktemp("pair")
    save(directory, 1, 2)
    return directory


@pytest.fixture
def copy(pair, tmp_path):
    """A copy of `pair` that a test may spoil."""
    shutil.copytree(pair / "checkpoints", tmp_path / "run" / "checkpoints")
    return tmp_path / "run"


def test_a_state_comes_back_bit_by_bit_with_what_the_loop_needs(pair):
    restored = checkpoints(pair).restore(abstract(state(2)))
    assert restored.step == 2
    assert restored.progress == {"feed": 2}
    assert fingerprint(restored.state) == fingerprint(state(2))
    assert jax.tree.structure(restored.state) == jax.tree.structure(state(2))


def test_variables_are_read_without_knowing_the_model(pair):
    step, variables, average = checkpoints(pair).load_variables(1)
    assert step == 1
    assert fingerprint(variables) == fingerprint(state(1).variables())
    assert fingerprint(average) == fingerprint(state(1).ema)


def test_arrays_may_be_donated_while_they_are_written(tmp_path):
    overwrite = jax.jit(lambda tree: jax.tree.map(lambda x: x + 1, tree), donate_argnums=0)
    big = state(5).replace(params={"kernel": jnp.zeros((1000, 1000))})
    big = overwrite(big)
    expected = fingerprint(big)
    writer = checkpoints(tmp_path)
    writer.save(5, big, {})
    for _ in range(20):
        big = overwrite(big)
    writer.close()
    assert fingerprint(checkpoints(tmp_path).restore(abstract(big)).state) == expected


def test_the_latest_two_and_the_best_are_kept(tmp_path):
    writer = save(tmp_path, 1, 2, 3, 4, 5, accuracy={1: 0.3, 2: 0.9, 3: 0.5, 4: 0.9, 5: float("nan")})
    assert writer.steps() == [2, 4, 5]
    assert writer.best_step() == 2


def test_there_is_nothing_to_restore_where_nothing_was_saved_and_looking_makes_no_folder(tmp_path):
    reader = checkpoints(tmp_path)
    assert (reader.restore(abstract(state(1))), reader.steps(), reader.best_step()) == (None, [], None)
    with pytest.raises(CheckpointError, match="no finished checkpoint"):
        reader.load_variables()
    reader.close()
    assert list(tmp_path.iterdir()) == []


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b"")


def flip_one_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def fill_with_garbage(path):
    path.write_bytes(np.random.default_rng(0).bytes(200))


def delete(path):
    path.unlink()


@pytest.mark.parametrize("spoil", [truncate, empty, flip_one_bit, fill_with_garbage, delete])
def test_damage_to_any_file_is_noticed_and_the_checkpoint_before_is_used(spoil, pair, tmp_path):
    names = [path.relative_to(pair) for path in (pair / "checkpoints" / "2").rglob("*") if path.is_file()]
    assert len(names) > 8
    for number, name in enumerate(names):
        run = tmp_path / str(number)
        shutil.copytree(pair / "checkpoints", run / "checkpoints")
        if spoil is not delete and not (run / name).stat().st_size:
            continue  # an empty file has nothing to spoil
        spoil(run / name)
        reader = checkpoints(run)
        with pytest.warns(UserWarning, match="checkpoint of step 2 skipped: .*(damaged|missing|changed|finished)"):
            assert reader.load_variables()[0] == 1  # a reader leaves it where it is
        assert (run / "checkpoints" / "2").exists()
        with pytest.warns(UserWarning, match=r"checkpoint of step 2 skipped: .*; moved to .*/unreadable/2"):
            assert reader.restore(abstract(state(1))).step == 1
        assert reader.steps() == [1]


def test_where_none_can_be_read_it_is_an_error_and_nothing_is_moved(copy):
    for step in ("1", "2"):
        truncate(copy / "checkpoints" / step / "_CHECKPOINT_METADATA")
    with pytest.raises(CheckpointError, match=r"can be read:\n  step 2: _CHECKPOINT_METADATA is damaged\n  step 1"):
        checkpoints(copy).restore(abstract(state(1)))
    assert {path.name for path in (copy / "checkpoints").iterdir()} == {"1", "2"}
    with pytest.raises(CheckpointError, match="step 2"):
        checkpoints(copy).load_variables(2)
    with pytest.raises(CheckpointError, match=r"no checkpoint of step 7, only of \[1, 2\]"):
        checkpoints(copy).load_variables(7)


def test_a_checkpoint_of_another_model_is_named_by_what_differs(copy):
    with pytest.raises(CheckpointError, match=r"kernel: expected float32\[3,5\], found float32\[3,4\]"):
        checkpoints(copy).restore(abstract(state(1, width=5)))
    smaller = state(1).replace(model_state={})
    with pytest.raises(CheckpointError, match=r"batch_stats/mean: expected nothing, found float32\[4\]"):
        checkpoints(copy).restore(abstract(smaller))


def test_a_foreign_checkpoint_is_skipped_for_the_runs_own(copy, tmp_path):
    save(tmp_path / "other", 3, width=7)
    shutil.copytree(tmp_path / "other" / "checkpoints" / "3", copy / "checkpoints" / "3")
    with pytest.warns(UserWarning, match="step 3 skipped: it is of another model or optimiser"):
        assert checkpoints(copy).restore(abstract(state(1))).step == 2


def test_a_checkpoint_of_another_recipe_is_skipped_although_its_arrays_fit(copy, tmp_path):
    other = Checkpoints(tmp_path / "other" / "checkpoints", ACCURACY, Recipe(seed=1))
    other.save(3, state(3), {})
    other.close()
    shutil.copytree(tmp_path / "other" / "checkpoints" / "3", copy / "checkpoints" / "3")
    with pytest.warns(UserWarning, match="step 3 skipped: it is of a run of another recipe \\(seed: 1 -> 0\\)"):
        assert checkpoints(copy).restore(abstract(state(1))).step == 2
    with pytest.raises(CheckpointError, match="another recipe"):
        Checkpoints(copy / "checkpoints", ACCURACY, Recipe(epochs=99)).load_variables()


def test_after_a_skipped_checkpoint_its_step_can_be_saved_again(copy):
    truncate(copy / "checkpoints" / "2" / "state" / "manifest.ocdbt")
    writer = checkpoints(copy)
    with pytest.warns(UserWarning, match="skipped"):
        writer.restore(abstract(state(1)))
    writer.save(2, state(2), {})
    writer.close()
    assert checkpoints(copy).restore(abstract(state(2))).step == 2


@pytest.mark.parametrize("leftover", ["2.orbax-checkpoint-tmp", "2"])
def test_an_unfinished_checkpoint_is_not_used_and_cleared_away(copy, leftover):
    shutil.rmtree(copy / "checkpoints" / "2")
    shutil.copytree(copy / "checkpoints" / "1", copy / "checkpoints" / leftover)
    (copy / "checkpoints" / leftover / seal.NAME).unlink()  # a kill came before it was sealed
    writer = checkpoints(copy)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert writer.restore(abstract(state(1))).step == 1
    assert ["never finished" in str(warning.message) for warning in caught] == [True] * (leftover == "2")
    writer.save(2, state(2), {})
    writer.close()
    assert {path.name for path in (copy / "checkpoints").iterdir()} == {"1", "2"}


def test_where_only_an_unfinished_checkpoint_is_there_is_none(copy):
    for step in ("1", "2"):
        (copy / "checkpoints" / step / seal.NAME).unlink()
    with pytest.warns(UserWarning, match="never finished"):
        assert checkpoints(copy).restore(abstract(state(1))) is None


def test_an_evaluation_can_be_added_later(copy):
    writer = checkpoints(copy)
    writer.amend(1, {"feed": "new"}, {"accuracy": 0.5})
    assert writer.best_step() == 1
    assert seal.verify(copy / "checkpoints" / "1").progress == {"feed": "new"}


def test_a_changed_number_in_the_seal_is_noticed(copy):
    path = copy / "checkpoints" / "2" / seal.NAME
    content = json.loads(path.read_text())
    content["seal"]["progress"]["feed"] = 3
    path.write_text(json.dumps(content))
    with pytest.raises(seal.DamagedError, match="was changed"):
        seal.read(path.parent)


def test_checkpoints_whose_folders_were_exchanged_are_damaged_and_the_run_goes_on_from_another(tmp_path):
    save(tmp_path, 1, 2, 3, accuracy={1: 0.9, 2: 0.1, 3: 0.2})
    folder = tmp_path / "checkpoints"
    for name, other in (("2", "aside"), ("3", "2"), ("aside", "3")):
        (folder / name).rename(folder / other)
    with pytest.raises(CheckpointError, match="expected a checkpoint of step 3, found one of step 2"):
        checkpoints(tmp_path).load_variables(3)
    writer = checkpoints(tmp_path)
    with pytest.warns(UserWarning, match=r"step [23] skipped: expected a checkpoint of step [23], found"):
        assert writer.restore(abstract(state(1))).step == 1
    for step in (2, 3):
        writer.save(step, state(step), {})
    writer.close()
    assert checkpoints(tmp_path).restore(abstract(state(3))).step == 3


def test_a_seal_of_an_earlier_version_which_has_no_step_is_read(copy):
    path = copy / "checkpoints" / "2" / seal.NAME
    body = json.loads(path.read_text())["seal"]
    del body["step"]
    path.write_text(json.dumps({"sha256": seal._digest_of(body), "seal": body}))
    assert checkpoints(copy).restore(abstract(state(2))).step == 2


def test_a_failed_save_is_reported_later_and_harms_nothing(copy):
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer = checkpoints(copy)
    states = {step: state(step, width=1000) for step in (3, 4, 5)}  # whose programs go into a cache: before the limit
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        writer.save(3, states[3], {})
        with pytest.raises(CheckpointError, match=r"of step 3 could not be written .*step 2 is there and usable"):
            writer.wait()
        writer.save(4, states[4], {})
        with pytest.warns(UserWarning, match="step 4 could not be written .*the run goes on"):
            writer.save(5, states[5], {})
        with pytest.warns(UserWarning, match="step 5 could not be written"):
            writer.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before
    assert checkpoints(copy).restore(abstract(state(1))).step == 2


def test_a_save_works_again_after_one_that_failed(copy, monkeypatch):
    writer = checkpoints(copy)
    original = seal.seal
    monkeypatch.setattr(seal, "seal", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    writer.save(3, state(3), {})
    with pytest.raises(CheckpointError, match="No space left on device"):
        writer.wait()
    monkeypatch.setattr(seal, "seal", original)
    writer.save(3, state(3), {})
    writer.close()
    assert checkpoints(copy).restore(abstract(state(3))).step == 3


def test_names_of_arrays_are_paths_of_the_parameters(pair):
    names = seal.read(pair / "checkpoints" / "1").arrays
    flat = flax.traverse_util.flatten_dict(state(1).params, sep="/")
    assert {f"params/{name}" for name in flat} <= names.keys()
