"""A process of its own that answers lines: it forks its children, which a process with threads and windows cannot."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def serving(module):
    """A function that asks ``python -m MODULE --serve`` something, and gives its answer."""
    places = {"PYTHONPATH": f"{_ROOT}:{_ROOT / 'plugins'}", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", module, "--serve"], cwd=_ROOT, env={**os.environ, **places}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as server:  # fmt: skip

        def ask(question):
            server.stdin.write(json.dumps(question) + "\n")
            server.stdin.flush()
            return json.loads(server.stdout.readline())

        yield ask
        server.stdin.close()
