"""What a job does in its own process: `python -m fuzzer.screen.work replay|minimise CRASHES ID`.

Prints one sentence on what happened as its last line; exit code 0, or 2 when it could not be done.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from fuzzer.errors import UserError

MINIMISE_S = 120.0
"""Nobody who triages waits longer; `python -m fuzzer minimize --seconds S` does."""


def main(verb: str, crashes: str, id_: str) -> int:
    """Does one job."""
    try:
        print({"replay": _replay, "minimise": _minimise}[verb](Path(crashes), id_))
    except UserError as refused:
        print(refused)
        return 2
    return 0


def _replay(crashes: Path, id_: str) -> str:
    from fuzzer.examine.replay import record, replay, targets

    (result,) = replay(targets(crashes, id_))
    problem = record(crashes, result, datetime.now(UTC).isoformat(timespec="seconds"))
    return f"{result.result}: {result.now}" + (f" ({problem})" if problem else "")


def _minimise(crashes: Path, id_: str) -> str:
    from fuzzer.examine.minimize import minimize

    return minimize(crashes, id_, MINIMISE_S)


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:4]))
