"""Say whether the Python that runs this can hold the environment; exit 2 if not.

Runs under whatever Python there is, so it keeps to what the oldest understand.
"""

import sys

OLDEST = (3, 11)
NEWEST = (3, 13)


def main(command):
    """Return the exit code: 0 for a Python that can be used, else 2 with a sentence why not."""
    found = sys.version_info
    if OLDEST <= found[:2] <= NEWEST:
        return 0
    sys.stderr.write(
        "%s is Python %d.%d.%d, but Python %d.%d to %d.%d is needed; "
        "choose one with, for example, `make PYTHON=python3.12 validate`.\n"
        % ((command,) + found[:3] + OLDEST + NEWEST)
    )
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
