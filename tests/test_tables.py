"""The tables of the command line: counts by hand, and what a person gets for a wrong name."""

import re
import subprocess
import sys

import pytest

import zoo
from zoo import tables
from zoo.__main__ import main

# LeNet-5 by hand: kernel, bias of each layer in order.
LENET = {
    "stage1": 5 * 5 * 1 * 6 + 6,
    "stage2": 5 * 5 * 6 * 16 + 16,
    "dense1": 400 * 120 + 120,
    "dense2": 120 * 84 + 84,
    "head": 84 * 10 + 10,
}


def test_stages_and_parameters_of_lenet_are_those_by_hand():
    summary = tables.summarise("lenet5")
    expected = {"stage1": (14, 14, 6), "stage2": (5, 5, 16), "pre_logits": (84,), "logits": (10,)}
    assert summary.stages == expected
    assert list(summary.stages) == list(expected)  # from input to output
    assert summary.stage_parameters == LENET
    assert summary.parameters == tables.count_parameters("lenet5") == sum(LENET.values())
    assert summary.bytes == 4 * sum(LENET.values())


def test_flops_of_the_mlp_are_two_a_weight_and_the_few_of_biases_and_relus():
    weights = 784 * 512 + 512 * 256 + 256 * 10
    assert tables.summarise("mlp").flops == pytest.approx(2 * weights + 2 * (512 + 256) + 10, rel=1e-3)


def test_bytes_count_batch_statistics_and_parameters_do_not():
    summary = tables.summarise("cifar_resnet8")
    channels = 16 + 2 * (16 + 32 + 64)  # of the stem's norm and of two in each unit
    assert summary.bytes == 4 * (summary.parameters + 2 * channels)


def test_shape_and_options_of_a_summary_can_be_chosen():
    summary = tables.summarise("cifar_resnet8", (16, 24, 1), num_classes=3)
    assert summary.stages["stage3"] == (4, 6, 64)
    assert summary.stages["logits"] == (3,)
    with pytest.raises(ValueError, match="at least 4 x 4 pixels"):
        tables.summarise("cifar_resnet8", (2, 2, 3))


def printed(capsys, *arguments):
    """Exit code, standard output and standard error of `python -m zoo`."""
    code = main(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_list_prints_the_rows_that_match(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = printed(capsys, "list", "*lenet*")
    assert code == 0
    assert re.search(r"lenet5 .* classification .* 28 x 28 x 1 .* L37", out)
    assert "cifar" not in out
    code, out, _ = printed(capsys, "list", "--task", "classification")
    assert all(name in out for name in zoo.list_models(task="classification"))
    assert "rcnn" not in out


def test_describe_prints_the_whole_row(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    _, out, _ = printed(capsys, "describe", "cifar_plain20")
    assert "zoo.convnets.cifar_resnet:CifarResNet" in out
    assert "Deep Residual Learning" in out
    assert "'shortcut': 'none'" in out


def test_summary_prints_stages_parameters_flops_and_bytes(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    _, out, _ = printed(capsys, "summary", "lenet5", "--input-shape", "32", "32", "1")
    assert "lenet5, one 32 x 32 x 1 example" in out
    assert re.search(r"stage2 .* 5 x 5 x 16 .* 2,416", out)
    assert re.search(r"total .* 61,706", out)
    assert "MFLOPs" in out
    assert "0.25 MB" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["describe", "lenet"], "error: no model 'lenet'; nearest: lenet5"),
        (["summary", "cifar_resnet21"], "error: no model 'cifar_resnet21'; nearest: cifar_resnet"),
        (["summary", "lenet5", "--input-shape", "8", "8", "1"], "error: LeNet5 expected images of 28 x 28 or 32 x 32"),
        (["list", "qq*"], "error: no model 'qq*'; known: "),
        (["list", "--task", "detect"], "error: no task 'detect'; nearest: detection"),
    ],
)
def test_what_does_not_exist_is_one_line_and_exit_code_2(arguments, message, capsys):
    code, _, err = printed(capsys, *arguments)
    assert code == 2
    assert err.startswith(message)
    assert err.count("\n") == 1


def test_the_command_runs_as_a_module():
    command = [sys.executable, "-m", "zoo", "list", "mlp"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "mlp" in done.stdout


def test_the_shape_of_no_example_is_refused():
    with pytest.raises(ValueError, match="input_shape: expected positive sizes of one example"):
        tables.summarise("mlp", (0,))
