"""A command of the command line as a shell would see it."""

import re

from train import cli


def call(capsys, *arguments):
    """The exit code and both outputs of a command, as a shell would see them; ends of lines are spaces."""
    try:
        code = cli.main([str(argument) for argument in arguments])
    except SystemExit as exit:  # tyro's
        code = exit.code
    printed = capsys.readouterr()
    return code, printed.out, re.sub(r"[\s│]+", " ", printed.err)
