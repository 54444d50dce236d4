"""Commands start themselves anew with huge pages: once, as the same process, and not where that is of no use."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from zoo import huge_pages
from zoo.huge_pages import start_with_huge_pages

SCRIPT = """
import os, signal, sys
from zoo.huge_pages import start_with_huge_pages
print("begins", os.getpid(), flush=True)
start_with_huge_pages()
print(os.getpid(), os.environ.get("GLIBC_TUNABLES"), sys.argv[1:], sys.stdin.read(), sys.flags.dev_mode)
print("words", file=sys.stderr)
os.kill(os.getpid(), signal.SIGTERM) if "die" in sys.argv else sys.exit(7)
"""


@pytest.fixture
def of_use(monkeypatch):
    monkeypatch.setattr(huge_pages, "_are_of_use", lambda: True)


@pytest.fixture
def started(monkeypatch):
    """What was started, by its arguments and its tunables."""
    calls = []
    monkeypatch.setattr(os, "execve", lambda path, argv, env: calls.append((path, argv, env["GLIBC_TUNABLES"])))
    return calls


@pytest.mark.skipif(not huge_pages._are_of_use(), reason="no huge pages on this machine, or an accelerator")
@pytest.mark.parametrize("last", ["a b", "die"])
def test_the_process_is_the_same_with_its_arguments_streams_flags_and_end(last):
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    command = [sys.executable, "-X", "dev", "-c", SCRIPT, "--é", last]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, env=environment, cwd=root, input="typed", capture_output=True, text=True, timeout=60)
    first, second, line = done.stdout.splitlines()
    pid = first.split()[1]
    assert first == second == f"begins {pid}"
    assert line == f"{pid} glibc.malloc.hugetlb=1 ['--é', '{last}'] typed True"
    assert done.stderr == "words\n"
    assert done.returncode == (-15 if last == "die" else 7)


@pytest.mark.usefixtures("of_use")
def test_other_tunables_are_kept_and_one_that_says_how_is_obeyed(started, monkeypatch):
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.check=1")
    start_with_huge_pages()
    assert started == [
        (
            sys.executable,
            [sys.executable, "-X", "huge_pages", *sys.orig_argv[1:]],
            "glibc.malloc.check=1:glibc.malloc.hugetlb=1",
        )
    ]
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=0")
    start_with_huge_pages()
    assert len(started) == 1


@pytest.mark.usefixtures("of_use")
def test_an_option_switches_it_off_and_is_not_seen_by_the_command(started, monkeypatch):
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    monkeypatch.setattr(sys, "argv", ["train", "fit", "--no-huge-pages", "digits"])
    start_with_huge_pages()
    assert (started, sys.argv) == ([], ["train", "fit", "digits"])


@pytest.mark.usefixtures("of_use")
def test_who_was_started_anew_and_lost_the_variable_is_not_again(started, monkeypatch):
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    monkeypatch.setitem(sys._xoptions, "huge_pages", True)
    start_with_huge_pages()
    assert started == []


@pytest.mark.skipif(not huge_pages._are_of_use(), reason="no huge pages on this machine, or an accelerator")
@pytest.mark.parametrize("module", ["zoo", "train"])
@pytest.mark.parametrize("options", [[], ["--no-huge-pages"]])
def test_both_commands_start_anew_unless_told_not_to(module, options):
    trace = "import os, runpy, sys; os.execve = lambda *_: sys.exit(42); sys.argv = sys.argv[1:]; "
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    command = [sys.executable, "-c", f"{trace}runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"]
    done = subprocess.run(
        [*command, module, "list", *options],
        env=environment,
        cwd=Path(__file__).parents[1],
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == (0 if options else 42)


@pytest.mark.usefixtures("of_use")
def test_who_cannot_start_anew_goes_on_without(monkeypatch):
    def refuse(*_):
        raise OSError("no such file")

    monkeypatch.setattr(os, "execve", refuse)
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    start_with_huge_pages()


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("sys.platform", "linux"),
        ("sys.platform", "darwin"),
        ("platform.libc_ver", lambda: ("", "")),
        ("platform.libc_ver", lambda: ("glibc", "2.31")),
        ("zoo.huge_pages._ACCELERATORS", (os.devnull,)),
        ("zoo.huge_pages._SETTING", Path(os.devnull) / "none"),
        ("JAX_PLATFORMS", "cpu"),
    ],
)
def test_something_is_started_only_where_it_is_of_use(what, value, started, monkeypatch, tmp_path):
    setting = tmp_path / "enabled"
    setting.write_text("always [madvise] never")
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    for name, fine in (
        ("sys.platform", "linux"),
        ("platform.libc_ver", lambda: ("glibc", "2.36")),
        ("zoo.huge_pages._ACCELERATORS", ()),
        ("zoo.huge_pages._SETTING", setting),
    ):
        monkeypatch.setattr(name, fine)
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    if what == "JAX_PLATFORMS":  # on a machine that has an accelerator
        monkeypatch.setattr("zoo.huge_pages._ACCELERATORS", (os.devnull,))
        monkeypatch.setenv(what, value)
    else:
        monkeypatch.setattr(what, value)
    start_with_huge_pages()
    assert len(started) == (value in ("linux", "cpu"))


def test_a_kernel_that_never_gives_them_is_not_asked(monkeypatch, tmp_path):
    setting = tmp_path / "enabled"
    monkeypatch.setattr("platform.libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(huge_pages, "_ACCELERATORS", ())
    monkeypatch.setattr(huge_pages, "_SETTING", setting)
    for text, expected in (("always [madvise] never", True), ("always madvise [never]", False)):
        setting.write_text(text)
        assert huge_pages._are_of_use() is expected
