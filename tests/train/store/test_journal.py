"""The run's diary: lines that are whole, no step twice after a resumption, and a disk that may be full."""

import json
import math
import os
import resource
import signal
import struct

import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

from train.store import journal
from train.store.journal import Journal


def crc32c(content):
    """Castagnoli's checksum, bit by bit (RFC 3720, appendix B.4)."""
    remainder = 0xFFFFFFFF
    for byte in content:
        remainder ^= byte
        for _ in range(8):
            remainder = (remainder >> 1) ^ (0x82F63B78 if remainder & 1 else 0)
    return remainder ^ 0xFFFFFFFF


def masked(content):
    value = crc32c(content)
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


def events(folder):
    """The events of each file, by the TFRecord format: length, its checksum, content, its checksum."""
    files = []
    for path in sorted(folder.iterdir()):
        content, found = path.read_bytes(), []
        while content:
            length, check = struct.unpack("<QI", content[:12])
            data = content[12 : 12 + length]
            assert check == masked(content[:8])
            assert struct.unpack("<I", content[12 + length : 16 + length])[0] == masked(data)
            found.append(Event.FromString(data))
            content = content[16 + length :]
        files.append(found)
    return files


def fill(path, *steps, resume_step=0):
    writer = Journal(path, resume_step)
    for step in steps:
        writer.write("train", step, {"loss": step / 2, "epoch": 1})
    writer.close()


def records(path):
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


def test_a_line_is_one_object_and_can_be_read_at_once(tmp_path):
    writer = Journal(tmp_path, 0)
    writer.write("eval", 3, {"loss": 0.5, "accuracy": 1.0})
    assert records(tmp_path) == [{"kind": "eval", "step": 3, "loss": 0.5, "accuracy": 1.0}]
    assert journal.read(tmp_path / "metrics.jsonl") == records(tmp_path)
    writer.close()


def test_what_is_not_finite_is_null_in_the_file_and_nan_when_it_is_read(tmp_path):
    writer = Journal(tmp_path, 0)
    writer.write("train", 3, {"loss": math.nan, "learning_rate": math.inf, "skipped": 1})
    writer.close()
    expected = {"kind": "train", "step": 3, "loss": None, "learning_rate": None, "skipped": 1}
    assert records(tmp_path) == [expected]
    (read,) = journal.read(tmp_path / "metrics.jsonl")
    assert math.isnan(read["loss"])
    Journal(tmp_path, 3).close()
    assert records(tmp_path) == [expected]


def test_what_came_after_the_checkpoint_is_dropped_and_a_torn_line_with_it(tmp_path):
    fill(tmp_path, 1, 2, 3, 4)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "train", "st')
    assert [line["step"] for line in journal.read(tmp_path / "metrics.jsonl")] == [1, 2, 3, 4]
    fill(tmp_path, 3, 4, resume_step=2)
    assert [line["step"] for line in records(tmp_path)] == [1, 2, 3, 4]
    fill(tmp_path, 1)
    assert [line["step"] for line in records(tmp_path)] == [1]


def test_tensorboard_shows_the_same_and_hides_what_was_dropped(tmp_path):
    fill(tmp_path, 1, 2)
    fill(tmp_path, 2, resume_step=1)
    first, second = events(tmp_path / "tensorboard")
    assert first[0].file_version == "brain.Event:2"
    assert [(e.step, {v.tag: v.simple_value for v in e.summary.value}) for e in first[2:]] == [
        (1, {"train/loss": 0.5, "train/epoch": 1}),
        (2, {"train/loss": 1, "train/epoch": 1}),
    ]
    assert (second[1].step, second[1].session_log.status) == (2, SessionLog.START)  # purges step 2 and after
    assert second[2].step == 2


def test_on_a_full_disk_lines_wait_until_there_is_room(tmp_path):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    writer = Journal(tmp_path, 0)
    writer.write("train", 1, {"loss": 1.0})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(tmp_path / "metrics.jsonl") + 9, limits[1]))
    try:
        with pytest.warns(UserWarning, match="metrics cannot be written .*; the run goes on"):
            writer.write("train", 2, {"loss": 2.0})
        writer.write("train", 3, {"loss": 3.0})  # it complains once
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [line["step"] for line in journal.read(tmp_path / "metrics.jsonl")] == [1]
    writer.write("train", 4, {"loss": 4.0})
    writer.close()
    assert [line["step"] for line in records(tmp_path)] == [1, 2, 3, 4]
    assert [e.step for e in events(tmp_path / "tensorboard")[-1] if e.summary.value][-1] == 4


def test_an_evaluation_that_the_checkpoint_does_not_hold_is_written_again(tmp_path):
    writer = Journal(tmp_path, 0)
    for step in (8, 16):
        writer.write("train", step, {"loss": 1})
        writer.write("eval", step, {"loss": 2})
    writer.close()
    Journal(tmp_path, 16, evaluated=True).close()
    assert [record["kind"] for record in records(tmp_path)] == ["train", "eval"] * 2
    Journal(tmp_path, 16, evaluated=False).close()
    assert [(r["step"], r["kind"]) for r in records(tmp_path)] == [(8, "train"), (8, "eval"), (16, "train")]


def test_records_come_in_order_and_a_step_repeated_after_a_resume_counts_once(tmp_path):
    lines = ['{"kind": "train", "step": 2, "loss": 9}', '{"kind": "train", "step": 1}', "[1]", '{"step": 3}', "",
             '{"kind": "train", "step": 2, "loss": 5}', '{"kind": "eval", "step": 2}', '{"kind": "tr']  # fmt: skip
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    records = journal.ordered(tmp_path / "metrics.jsonl")
    assert [(record["kind"], record["step"], record.get("loss")) for record in records] == [
        ("train", 1, None),
        ("train", 2, 5),
        ("eval", 2, None),
    ]
