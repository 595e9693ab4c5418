"""The command ``workbench``: one thin file per verb, each imported only when it is called."""

from __future__ import annotations

import errno
import os
import sys
import traceback
import warnings
from functools import partial
from typing import TextIO

import click

from workbench.cli.lazy import COMMANDS, LazyGroup
from workbench.cli.say import say
from workbench.core.errors import Cancelled, OutOfMemory, WorkbenchError, WorkbenchWarning, one_line, visible

EXIT_CODES = """\b
Exit codes:
  0    all done
  1    unexpected error (-v shows the traceback)
  2    wrong usage
  3    some cases failed
  4    nothing matched the input
  5    weights missing or not usable
  6    out of memory
  130  interrupted"""

CONTEXT = {
    "help_option_names": ["-h", "--help"],
    # Users of other tools type --lora_rank: underscores mean the same as hyphens.
    "token_normalize_func": lambda token: token.replace("_", "-"),
    "max_content_width": 110,
}


_NO_PLACE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.ENAMETOOLONG)


@click.group(cls=LazyGroup, commands_table=COMMANDS, context_settings=CONTEXT, epilog=EXIT_CODES)
@click.version_option(package_name="napari-workbench", prog_name="workbench")
def cli() -> None:
    """Medical and scientific images: propose, correct, teach, and run over the whole study.

    Research use only.
    """


def main() -> None:
    """Entry point: runs the command and turns every error into one line and the documented exit code."""
    _open_all()
    # Waiting threads sleep instead of spinning: on a machine with other work to do a step is several times faster.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(run(sys.argv[1:]))


def _open_all() -> None:
    """Who closed our standard streams listens to none of them; files that are opened must not get their numbers."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            got = os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)
            if got != number:
                os.dup2(got, number)
                os.close(got)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    verbose = any(a in ("-v", "--verbose") for a in arguments)
    warnings.showwarning = partial(_show_warning, verbose=verbose)
    try:
        value = cli.main(args=arguments, prog_name="workbench", standalone_mode=False)
        return value if isinstance(value, int) else 0
    except click.exceptions.Abort:
        say("Interrupted.", err=True)
        return 130
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()  # the whole help, on its lines
        return 2
    except click.ClickException as error:
        if visible(error.message) == error.message:
            error.show()
        else:
            say(f"Error: {one_line(error.message)}", err=True)
        return 2
    except (KeyboardInterrupt, Cancelled):
        say("Interrupted.", err=True)
        return 130
    except BrokenPipeError:
        _leave_standard_output()  # the reader of a pipe (head, less) went away
        return 0
    except Exception as error:
        return failed(error, verbose=verbose)


def _leave_standard_output() -> None:
    """Keep Python from complaining once more at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def failed(error: Exception, *, verbose: bool = False, subject: str = "workbench") -> int:
    """Say what went wrong in one line, before it the traceback if wanted; gives the exit code."""
    from workbench.core import memory

    if verbose:
        traceback.print_exception(error)

    short = None if isinstance(error, OutOfMemory) else memory.exhausting(error)
    if short is not None:
        say(f"Error: {memory.ran_out(subject, short)}", err=True)
        return OutOfMemory.exit_code
    if isinstance(error, WorkbenchError):
        say(f"Error: {one_line(error)}", err=True)
        return error.exit_code
    if isinstance(error, OSError) and error.filename is not None and error.strerror is not None:
        # Of all others nobody knows here whether they were about a place to write or a file to read.
        advice = " Free space, or choose another place." if error.errno in _NO_PLACE else ""
        say(f"Error: {error.filename}: {error.strerror}.{advice}", err=True)
        return 2
    if isinstance(error, OSError) and error.errno in _NO_PLACE:  # of a stream: what it leads to is full
        say(f"Error: cannot write: {error.strerror}. Free space, or choose another place.", err=True)
        _leave_standard_output()
        return 2
    where = "" if subject == "workbench" else f"{subject}: "
    text = f"{where}{type(error).__name__}: {one_line(error)}"
    say(f"Unexpected error: {text}. Run again with -v for details.", err=True)
    return 1


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
    *,
    verbose: bool = False,
) -> None:
    """Ours as one line for people; those of libraries, which speak to programmers, only with ``-v``, as Python does."""
    ours = issubclass(category, WorkbenchWarning)
    if not (ours or verbose):
        return
    text = (
        f"Warning: {one_line(message)}\n" if ours else warnings.formatwarning(message, category, filename, lineno, line)
    )
    (file or sys.stderr).write(text)


__all__ = ["cli", "failed", "main", "run"]
