"""Shows the screens with made-up data: `python -m fuzzer.screen.demo live|triage|plain|summary`."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from fuzzer.screen.demo_data import DemoSource, demo_snapshot

USAGE = "usage: python -m fuzzer.screen.demo live|triage|plain|summary [findings]"


def main(arguments: list[str]) -> int:
    """Runs one demo."""
    demos = {"live": _live, "triage": _triage, "plain": _plain, "summary": _summary}
    if not arguments or arguments[0] not in demos:
        print(USAGE, file=sys.stderr)
        return 2
    demos[arguments[0]](int(arguments[1]) if len(arguments) > 1 else 12)
    return 0


def _live(findings: int) -> None:
    from rich.console import Console
    from rich.live import Live

    from fuzzer.screen.live import render

    console = Console()
    start = time.monotonic()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        try:
            while True:
                snapshot = demo_snapshot(datetime.now(UTC), 3723 + time.monotonic() - start)
                snapshot = replace(snapshot, warnings=("1.9 GB left on the disk of crashes/",))
                live.update(render(snapshot, console.width, console.height), refresh=True)
                time.sleep(0.5)
        except KeyboardInterrupt:
            pass


def _triage(findings: int) -> None:
    from fuzzer.screen.triage import TriageApp

    with tempfile.TemporaryDirectory() as folder:
        source = DemoSource(Path(folder), findings, job_s=6.0, now=datetime.now(UTC))
        TriageApp(source).run()


def _plain(findings: int) -> None:
    from fuzzer.screen.plain import plain_line

    print(plain_line(demo_snapshot()))


def _summary(findings: int) -> None:
    from fuzzer.screen.plain import summary

    print(summary(replace(demo_snapshot(), state="finished")), end="")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
