"""How papermill executes a notebook here: it is written when a cell of code has ended."""

from papermill.engines import NBClientEngine, NotebookExecutionManager, papermill_engines

__all__ = ["ENGINE"]

ENGINE = "miri-background"


class _WrittenWhenCodeEnds(NotebookExecutionManager):
    """Write the notebook when a cell of code has ended, and now and then during a long one.

    papermill itself writes it at the beginning and end of every cell, of text as well: with
    figures inside, that is a tenth of a second each time, in which the kernel waits.
    """

    _written = None

    def save(self, **keywords):
        """Write the notebook if there is something new in it."""
        ended = [
            cell.metadata.papermill["status"] in (self.COMPLETED, self.FAILED)
            for cell in self.nb.cells
            if cell.cell_type == "code"
        ]
        since = (self.now() - self.last_save_time).total_seconds()
        if ended != self._written or since >= self.autosave_cell_every:
            self._written = ended
            super().save(**keywords)


class _Engine(NBClientEngine):
    """papermill's engine of notebook kernels, which writes less often."""

    @classmethod
    def execute_notebook(
        cls,
        nb,
        kernel_name,
        output_path=None,
        progress_bar=True,
        log_output=False,
        autosave_cell_every=30,
        **keywords,
    ):
        """Execute a notebook, with the arguments that papermill's engines take."""
        executed = _WrittenWhenCodeEnds(
            nb, output_path, log_output, progress_bar, autosave_cell_every
        )
        executed.notebook_start()
        try:
            cls.execute_managed_notebook(executed, kernel_name, log_output=log_output, **keywords)
        finally:
            executed.cleanup_pbar()
            executed.notebook_complete()
        return executed.nb


papermill_engines.register(ENGINE, _Engine)
