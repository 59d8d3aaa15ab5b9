"""A campaign on the tiny target, as a process that can be killed: `python -m tests.campaign.runner CONFIG_JSON`.

The engine is the real one. Two things differ from the command line: the target, and that reproducers of findings
are not run (they would import TensorFlow for a finding that was planted). The ids of the executed cases, in order,
go to `ids`; the last line printed is the last snapshot.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from fuzzer.campaign.config import CampaignConfig
from fuzzer.campaign.snapshot import Snapshot
from fuzzer.campaign.supervisor import Supervisor
from fuzzer.campaign.worker import Worker
from fuzzer.errors import UserError
from fuzzer.examine import saving
from fuzzer.execute import Limits
from tests.conftest import TINY


class Recording(Supervisor):
    """Writes down every event."""

    events: Path | None = None

    def _take_event(self, worker: Worker, event: dict[str, Any]) -> None:
        super()._take_event(worker, event)
        if self.events is not None:
            with self.events.open("a") as file:
                file.write(json.dumps(event) + "\n")


def main() -> None:
    settings = json.loads(sys.argv[1])
    events = settings.pop("events", None)
    limits = Limits(**settings.pop("limits", {}))
    saving.run_script = lambda script: -1  # type: ignore[assignment]
    folders = {k: Path(settings.pop(k)) for k in ("corpus", "crashes")}
    try:
        supervisor = Recording(CampaignConfig(**folders, limits=limits, target=TINY, **settings))
        supervisor.events = Path(events) if events else None
        final: Snapshot = supervisor.run()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print(json.dumps(final.to_json()))


if __name__ == "__main__":
    main()
