"""The settings of pip, as uv takes them: which package index packages come from, and how.

`tools/install.py` runs this file by its path before anything is installed: it needs no more than
Python itself.
"""

import ast
import os
import subprocess
import sys

__all__ = ["uv_settings"]

# uv does not read the settings of pip, but has environment variables of its own for them.
_SETTINGS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    # uv has no variable for having no index; without a network it has none but those on disk
    "no-index": "UV_OFFLINE",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "proxy": "ALL_PROXY",
    "cert": "SSL_CERT_FILE",
}
_LIST = (sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list")


def uv_settings():
    """Return the settings of pip as environment variables of uv.

    Returns
    -------
    dict of str
        Empty where this Python has no pip.
    """
    # With the setting "quiet", pip lists nothing.
    environment = os.environ | {"PIP_QUIET": "0", "PIP_VERBOSE": "0"}
    listed = subprocess.run(
        _LIST, env=environment, capture_output=True, text=True, check=False
    ).stdout
    found = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        variable = _SETTINGS.get(name.rpartition(".")[2])
        if variable:
            # What the environment says comes first, and holds; several values have lines each.
            found.setdefault(variable, " ".join(ast.literal_eval(value).split()))
    return found
