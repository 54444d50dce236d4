"""A run's folder: what it says of the run, and what it refuses."""

import dataclasses
import fcntl
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import jax
import pytest

from train.config import Data, Recipe
from train.store.workdir import Workdir, WorkdirError, resume_command, take_free_folder

RECIPE = Recipe(name="test")


@pytest.fixture
def files(tmp_path):
    files = Workdir(tmp_path / "run")
    files.path.mkdir()
    files.write_card(RECIPE, {"total_steps": 5})
    return files


def test_the_card_holds_the_recipe_and_what_decides_its_bits(files):
    assert files.read_recipe() == RECIPE
    card = files.read_card()
    assert card["total_steps"] == 5
    assert card["versions"]["jax"] == jax.__version__
    assert len(card["devices"]) == jax.device_count()
    assert files.changes() == []


def test_changes_name_what_is_not_as_it_was(files):
    card = files.read_card()
    card["versions"]["flax"], card["devices"] = "0.1", ["tpu:0 (v5)", "tpu:1 (v5)"]
    files.card.write_text(json.dumps(card))
    flax, devices = files.changes()
    assert flax.startswith("flax: 0.1 -> ")
    assert devices == "devices: 2 x v5 -> 1 x cpu"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "recipe.json is damaged"),
        ('{"recipe": {"name"', "recipe.json is damaged"),
        pytest.param('{"recipe":' * 100_000, "recipe.json is damaged", id="deep"),
        ("[]", "expected an object, found list"),
        ("{}", "no recipe that this version can read"),
        ('{"recipe": {"epoch": 3}}', "no field of Recipe 'epoch'; nearest: epochs"),
        ('{"recipe": {"epochs": "three"}}', "no recipe that this version can read"),
        ('{"recipe": {"epochs": 0}}', "out of range: epochs=0"),
    ],
)
def test_a_damaged_card_is_an_error_that_says_so(files, content, message):
    files.card.write_text(content)
    with pytest.raises(WorkdirError, match=message):
        files.read_recipe()
    with pytest.raises(WorkdirError, match=message):
        files.claim(RECIPE)


def test_a_folder_is_claimed_only_when_there_is_nothing_in_it(tmp_path, files):
    Workdir(tmp_path / "new").claim(RECIPE)
    with pytest.raises(WorkdirError, match="unfinished; go on with: python -m train resume"):
        files.claim(RECIPE)
    other = dataclasses.replace(RECIPE, seed=3, data=Data(batch_size=7))
    with pytest.raises(WorkdirError, match=r"differs in\n  data.batch_size: 128 -> 7\n  seed: 0 -> 3$"):
        files.claim(other)
    files.fingerprint.write_text("{}")
    with pytest.raises(WorkdirError, match="unfinished"):  # it has no report yet
        files.claim(RECIPE)
    files.report.write_text("")
    with pytest.raises(WorkdirError, match=r"finished; choose another workdir"):
        files.claim(RECIPE)
    with pytest.raises(WorkdirError, match=r"holds no run: expected recipe.json"):
        Workdir(tmp_path).read_recipe()


def test_a_lock_keeps_others_out_until_its_process_ends(files):
    script = "import fcntl, os, sys; fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX); print(); input()"
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", script, files.path], stdin=pipe, stdout=pipe)
    process.stdout.readline()  # it has the lock
    with pytest.raises(WorkdirError, match="in use by another process"), files.locked():
        pass
    process.kill()
    process.communicate()
    with files.locked():
        pass


def test_a_locked_folder_that_stays_empty_is_removed(tmp_path):
    files = Workdir(tmp_path / "runs" / "name")
    with files.locked():
        assert files.path.is_dir()
    assert not files.path.exists()


def test_a_process_that_is_refused_leaves_the_folder_to_its_holder(tmp_path):
    files = Workdir(tmp_path / "run")
    with files.locked():
        for _ in range(2):  # the second would get a folder of its own, had the first removed this one
            with pytest.raises(WorkdirError, match="in use by another process"), files.locked():
                pass
        files.write_card(RECIPE, {})
    assert files.read_recipe() == RECIPE


def test_the_lock_is_on_the_folder_that_the_path_leads_to(tmp_path, monkeypatch):
    files, lock = Workdir(tmp_path / "run"), fcntl.flock

    def lock_late(folder, how):
        monkeypatch.setattr(fcntl, "flock", lock)
        files.path.rmdir()  # who held it removes it just before
        lock(folder, how)

    monkeypatch.setattr(fcntl, "flock", lock_late)
    with files.locked(), pytest.raises(WorkdirError, match="in use by another process"), files.locked():
        pass


def test_another_folder_at_the_same_path_is_noticed(files):
    with files.locked():
        then = files.identity()
        files.check_identity(then)
        shutil.rmtree(files.path)
        for _ in range(2):
            with pytest.raises(WorkdirError, match="deleted or moved while the run went on"):
                files.check_identity(then)
            files.path.mkdir(exist_ok=True)
            files.write_card(RECIPE, {})


def test_a_mounted_folder_may_get_another_number(files):
    """As gcsfuse gives; told from a run that was made anew by when its card was written."""
    then = files.identity()
    renamed = files.path.with_name("before")
    files.path.rename(renamed)
    shutil.copytree(renamed, files.path)  # keeps times
    assert files.identity()[:2] != then[:2]
    files.check_identity(then)
    files.write_card(RECIPE, {})
    with pytest.raises(WorkdirError, match="deleted or moved"):
        files.check_identity(then)


def test_what_a_killed_process_had_begun_to_write_is_no_content_and_is_removed_by_the_next(tmp_path):
    files = Workdir(tmp_path / "run")
    sealed = files.checkpoints / "8"
    for folder in (sealed, files.seen):
        folder.mkdir(parents=True)
    parts = [files.path / ".recipe.json.17.part", sealed / ".seal.json.17.part", files.seen / ".8.npz.17.part"]
    for part in parts:
        part.write_text("{")
    with pytest.raises(WorkdirError, match="holds no run"):
        files.claim(RECIPE)
    files.clean()
    assert [path for path in files.path.rglob("*") if path.is_file()] == []
    other = Workdir(tmp_path / "other")
    other.path.mkdir()
    (other.path / ".recipe.json.17.part").write_text("{")
    other.claim(RECIPE)
    (other.path / ".profile").write_text("")
    with pytest.raises(WorkdirError, match="is not empty"):
        other.claim(RECIPE)


def test_a_path_that_no_report_could_say_is_refused_at_the_start(tmp_path):
    files = Workdir(tmp_path / os.fsdecode(b"caf\xe9"))
    with pytest.raises(WorkdirError, match=r"caf\\udce9': expected a path in UTF-8"), files.locked():
        pass
    assert list(tmp_path.iterdir()) == []


def test_free_folders_count_up_and_nobody_gets_one_twice(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(lambda _: take_free_folder(tmp_path / "runs", "digits"), range(40)))
    assert {path.name for path in taken} == {"digits", *(f"digits-{number}" for number in range(2, 41))}
    assert all(path.is_dir() for path in taken)


def test_what_is_to_be_typed_can_be_typed(tmp_path):
    assert resume_command(tmp_path / "a b").endswith("/a b'")
