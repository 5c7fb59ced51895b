"""The kernel that executes a notebook: what it says beside its outputs goes to a log."""

import os
from pathlib import Path

from jupyter_client.manager import AsyncKernelManager
from traitlets import Unicode

__all__ = ["LoggedKernelManager"]


class LoggedKernelManager(AsyncKernelManager):
    """Start a kernel that writes nothing to the terminal.

    When it is interrupted, or dies, it would write there what nobody can act on.

    Attributes
    ----------
    log_file : str
        Where it writes; begun anew with each kernel.
    """

    log_file = Unicode(os.devnull).tag(config=True)

    async def start_kernel(self, **keywords):
        """Start the kernel, with the arguments that `AsyncKernelManager` takes."""
        with Path(self.log_file).open("wb") as stream:
            return await super().start_kernel(stdout=stream, stderr=stream, **keywords)
