# Print why .venv cannot be used; print nothing when it can.
#
# Usage, in the checkout: sh tools/venv_problem.sh [PYTHON]
# With PYTHON, an environment of another version cannot be used either.

python=.venv/bin/python
show_version='import sys; print("%d.%d" % sys.version_info[:2])'

if [ ! -e .venv ]; then
    echo "there is none"
    exit
fi

version=$("$python" -c "$show_version" 2>/dev/null)
if [ -z "$version" ]; then
    echo "its Python does not run"
    exit
fi

if ! "$python" tools/check_python.py .venv 2>/dev/null; then
    echo "its Python is $version"
    exit
fi

# also so when the Python below it was replaced by another version
if ! ls .venv/lib/python"$version"/site-packages/pip-*.dist-info/RECORD >/dev/null 2>&1; then
    echo "it has no complete pip for Python $version"
    exit
fi

# the commands in .venv/bin name their Python by its full path
if ! head -n 2 .venv/bin/pip 2>/dev/null | grep -qF "$(pwd -P)/.venv/bin/python"; then
    echo "it was made in another directory"
    exit
fi

if [ -n "$1" ]; then
    wanted=$("$1" -c "$show_version" 2>/dev/null)
    if [ "$wanted" != "$version" ]; then
        echo "its Python is $version, and $1 was asked for"
    fi
fi
