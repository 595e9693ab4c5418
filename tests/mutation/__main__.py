"""The table of the mutation test: ``python -m tests.mutation [MUTANTS] [SEED or GROUP ...]``.

``--keep FOLDER SEED NUMBER`` writes one mutant instead. ``--serve`` answers lines of ``["seed", mutants]`` with rows,
for the tests.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from tests.mutation import workers
from tests.mutation.judging import FAULTS
from tests.mutation.seeds import SEEDS

_WIDTHS = {
    "seed": 24,
    "protection": 42,
    "mutants": 7,
    "refused": 7,
    "read": 5,
    **dict.fromkeys(FAULTS, 10),
    "slowest": 7,
}


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--keep"]:
        folder, name, number = arguments[1:]
        print(workers.keep(SEEDS[name], int(number), Path(folder)))
        return 0
    workers.warm()
    if arguments == ["--serve"]:
        return _serve()
    count = int(arguments.pop(0)) if arguments and arguments[0].isdigit() else 100
    chosen = [s for s in SEEDS.values() if not arguments or s.name in arguments or s.group in arguments]
    print("  ".join(f"{k:<{w}}" for k, w in _WIDTHS.items()))
    rows = []
    for seed in chosen:
        try:
            rows.append(workers.run(seed, count))
        except Exception as error:
            print(f"{seed.name}: {type(error).__name__}: {error}")
            continue
        print("  ".join(f"{str(rows[-1][k])[:w]:<{w}}" for k, w in _WIDTHS.items()), flush=True)
    sums = {k: sum(r[k] for r in rows) for k in ("mutants", "refused", "read", *FAULTS)}
    print(f"{len(rows)} seeds: " + ", ".join(f"{n} {k}" for k, n in sums.items()))
    children = os.times()
    print(f"{sum(children[:4]):.0f} s of processor time, {children[2] + children[3]:.0f} s of it in children, "
          f"{time.process_time():.0f} s here")  # fmt: skip
    for row in rows:
        for fault in row["faults"]:
            print(f"{row['seed']} #{fault['mutant']} {fault['file']} ({fault['what']}): {fault['fault']} in "
                  f"{fault['verb']}: {fault['line']}")  # fmt: skip
    return int(any(sums[k] for k in FAULTS))


def _serve() -> int:
    for line in sys.stdin:
        name, count = json.loads(line)
        row: dict[str, Any]
        try:
            row = workers.run(SEEDS[name], count)
        except ImportError as error:
            row = {"missing": str(error)}
        except Exception as error:
            row = {"broken": f"{type(error).__name__}: {error}"}
        print(json.dumps(row), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
