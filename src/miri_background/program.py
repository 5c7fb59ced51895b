"""The program ``miri-background``, from its first moment on."""

import signal

__all__ = ["main"]


def main():
    """Run the command line.

    Returns
    -------
    int
        Exit code; see `miri_background.cli.main`.
    """
    # While it is imported, nothing has begun that Ctrl-C would have to end in order: the process
    # just ends, as by the signal, and shows no traceback.
    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if interruptible:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from miri_background.cli import main as command_line

    if interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return command_line()
