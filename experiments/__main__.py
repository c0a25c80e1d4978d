"""The list of the commands."""

from __future__ import annotations

import sys

from experiments import help, nearest


def main(arguments: list[str]) -> int:
    if set(arguments) <= help.ASKED:
        print(help.overview())
        return 0
    near = nearest.hint(arguments[0], help.COMMANDS, lambda name: f"{help.LIST}.{name}")
    print(f"error: {arguments[0]!r} is no command{near or f'; {help.LIST} lists them'}",
          file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
