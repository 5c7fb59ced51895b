"""What a result depends on, and what it took."""

import subprocess
import sys
from textwrap import dedent

BALLAST = 400_000_000  # bytes that the starting process has, and the started one has not


def test_memory_is_of_the_process_itself():
    """What the process that started this one had in memory does not count."""
    large = dedent(f"""
        import subprocess, sys
        ballast = bytearray(b"1") * {BALLAST}
        small = "from miri_background.provenance import peak_memory; print(peak_memory())"
        print(subprocess.check_output([sys.executable, "-c", small], text=True))
    """)
    peak = int(subprocess.check_output([sys.executable, "-c", large], text=True))
    assert 5_000_000 < peak < BALLAST


def test_memory_of_ended_children_counts():
    """A worker that took more than this process is what the machine has to have."""
    small = dedent(f"""
        import subprocess, sys
        from miri_background.provenance import peak_memory
        subprocess.run([sys.executable, "-c", "bytearray(b'1') * {BALLAST}"], check=True)
        print(peak_memory())
    """)
    assert int(subprocess.check_output([sys.executable, "-c", small], text=True)) > BALLAST
