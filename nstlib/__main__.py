"""The command line: nstlib transfer | reconstruct | onepass | train | apply | export | doctor.

Every field of `Settings` is an option. A wrong argument gives one line and exit code 2. Ctrl-C and SIGTERM
stop a run and save its last image. The modules that need torch are imported late, so that --help is fast.
"""

import argparse
import re
import signal
import sys
import threading
from collections.abc import Collection
from typing import Any, NoReturn

from nstlib.cli.errors import run_command
from nstlib.version import __version__, did_you_mean

COMMANDS = {
    "transfer": "give an image the style of one or more other images",
    "reconstruct": "reconstruct an image from noise, which shows what a layer encodes",
    "onepass": "give an image a style in one forward pass, by any method",
    "train": "train a network for one style",
    "apply": "apply a trained network to an image or to a folder of images",
    "export": "write one pass, or a trained network, as ONNX files",
    "doctor": "show versions, devices, and which weights are present",
}
SAME = {"--gamma": "--strength", "--strength": "--gamma", "--steps": "--iterations"}  # option → its synonym


class Parser(argparse.ArgumentParser):
    """Raises ValueError instead of printing the usage and exiting. The message suggests a correction."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            word = unknown[0].partition("=")[0]
            meant = did_you_mean(SAME.get(word, word), self._option_string_actions)
            self.error(f"unrecognized arguments: {' '.join(unknown)}{meant}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        if found := re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message):
            message += did_you_mean(found[1], re.findall(r"[\w-]+", found[2]))
        raise ValueError(f"{message}; {self.prog} --help shows the arguments")


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns the exit code: 0 success, 1 a failed run, 2 wrong arguments."""
    if arguments is None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends the import of torch silently
    return run_command(lambda: _run(sys.argv[1:] if arguments is None else arguments))


def _run(arguments: list[str]) -> int:
    options = make_parser(arguments[:1]).parse_args(arguments)
    from nstlib.cli import commands
    from nstlib.synthesis.allocator import keep_memory

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)  # from now on, Ctrl-C prints a message
    keep_memory()
    return int(getattr(commands, options.command)(options))


def make_parser(names: Collection[str] = tuple(COMMANDS)) -> argparse.ArgumentParser:
    """Returns the parser of all commands. Only those in `names` get their options, which need torch."""
    parser = Parser(prog="nstlib", description="Style transfer as distribution alignment.")
    parser.add_argument("--version", action="version", version=f"nstlib {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name, description in COMMANDS.items():
        command = commands.add_parser(name, help=description, description=f"{description.capitalize()}.")
        if name in names:
            from nstlib.cli.options import add_options

            add_options(command, name)
    return parser


if __name__ == "__main__":
    sys.exit(main())
