"""Starting, watching and judging campaigns on the tiny target."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuzzer.campaign.slot import in_flight
from fuzzer.campaign.snapshot import Snapshot
from fuzzer.findings import FindingStore
from tests.execute.processes import children, descendants, state, wait_for

ROOT = Path(__file__).parents[2]


@dataclass
class Campaign:
    """A running campaign process and its folders."""

    process: subprocess.Popen[str]
    folder: Path

    @property
    def corpus(self) -> Path:
        return self.folder / "corpus"

    @property
    def crashes(self) -> Path:
        return self.folder / "crashes"

    def events(self) -> list[dict[str, Any]]:
        path = self.folder / "events.jsonl"
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        return [json.loads(line) for line in lines if line.startswith(b"{")]

    def cases(self) -> list[str]:
        """Ids of the executed cases in order."""
        return [e["case"] for e in self.events() if e["event"] == "case"]

    def journal(self, event: str = "") -> list[dict[str, Any]]:
        events = FindingStore(self.crashes).journal.read().events
        return [e for e in events if event in ("", e["event"])]

    def findings(self) -> set[str]:
        return {f.id for f in FindingStore(self.crashes).findings()} if self.crashes.exists() else set()

    def corpus_ids(self) -> set[str]:
        return {p.stem for p in self.corpus.glob("*.json")}

    # --- processes ------------------------------------------------------------------------------------------

    def drivers(self) -> list[int]:
        return children(self.process.pid, "fuzzer.campaign.driver")

    def stop_at_a_case(self) -> int:
        """Stops driver 0 (`SIGSTOP`) in the middle of a case, however slow the host is; its process id."""

        def stopped() -> int:
            (pid,) = self.drivers()
            os.kill(pid, signal.SIGSTOP)
            wait_for(lambda: state(pid) == "T", what="the driver stops")
            if in_flight(self.slot) is not None:
                return pid
            os.kill(pid, signal.SIGCONT)
            return 0

        return wait_for(stopped, what="the driver is at a case")

    @property
    def slot(self) -> Path:
        return self.corpus / ".state" / "worker-0.slot"

    def zygote(self) -> int:
        return next(iter(children(self.process.pid, "fuzzer.execute.zygote")), 0)

    def executors(self) -> list[int]:
        zygote = self.zygote()
        return children(zygote, "fuzzer.execute.zygote") if zygote else []

    def everything(self) -> list[int]:
        return descendants(self.process.pid)

    def after(self, cases: int, timeout_s: float = 60.0) -> None:
        """Returns when that many cases were executed."""

        def enough() -> bool:
            assert self.process.poll() is None or len(self.cases()) >= cases, self.words()
            return len(self.cases()) >= cases

        wait_for(enough, timeout_s, f"{cases} cases")

    def words(self) -> str:
        return (self.folder / "stderr").read_text()[-3000:]

    def end(self, timeout_s: float = 90.0) -> Snapshot:
        """Waits for a normal end; the last snapshot."""
        try:
            out, _ = self.process.communicate(timeout=timeout_s)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.communicate()
        assert self.process.returncode == 0, self.words()
        return Snapshot.from_json(json.loads(out.splitlines()[-1]))


def start(
    folder: Path, deadly: str = "", value: str = "", delay_s: float = 0.0, tmp: Path | None = None, **settings: Any
) -> Campaign:
    """Starts a campaign with its folders in `folder`; `settings` as in `CampaignConfig`."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "corpus": str(folder / "corpus"),
        "crashes": str(folder / "crashes"),
        "events": str(folder / "events.jsonl"),
        "workers": 1,
        "seed": 7,
        **settings,
    }
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TINY_DEADLY": deadly,
        "TINY_VALUE": value,
        "TINY_DELAY_S": str(delay_s),
    }
    if tmp is not None:
        environment["TMPDIR"] = str(tmp)
    with (folder / "stderr").open("a") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.campaign.runner", json.dumps(config)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        )
    return Campaign(process, folder)


def run(folder: Path, **settings: Any) -> tuple[Campaign, Snapshot]:
    """A whole campaign."""
    campaign = start(folder, **settings)
    return campaign, campaign.end()
