"""Native coverage in whole campaigns on real TensorFlow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from fuzzer.campaign.corpus import Corpus, lines
from fuzzer.coverage.space import BlockSpace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def command(folder: Path, *options: str) -> list[str]:
    folders = ("--corpus", str(folder / "corpus"), "--crashes", str(folder / "crashes"))
    return [sys.executable, "-m", "fuzzer", "--plain", "--workers", "1", *folders, *options]


def status(folder: Path) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads((folder / "crashes" / "status.json").read_bytes())
    return tree


def run(folder: Path, *options: str) -> dict[str, Any]:
    subprocess.run(command(folder, *options), check=True, stdout=subprocess.DEVNULL)
    return status(folder)


def space_of(folder: Path) -> BlockSpace:
    return BlockSpace.from_json(json.loads((folder / "corpus" / ".state" / "blocks.json").read_bytes())["libraries"])


def executors() -> list[psutil.Process]:
    """Forks of a zygote that some supervisor below us started."""

    def is_zygote(process: psutil.Process) -> bool:
        try:
            return "fuzzer.execute.zygote" in process.cmdline()
        except psutil.Error:
            return False

    below = psutil.Process().children(recursive=True)
    return [p for p in below if is_zygote(p) and (parent := p.parent()) is not None and is_zygote(parent)]


@pytest.fixture(scope="module")
def guided(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("guided")
    return folder, run(folder, "--cases", "10", "--seed", "5")


def test_every_block_of_the_status_is_in_the_corpus(guided: tuple[Path, dict[str, Any]]) -> None:
    folder, final = guided
    assert set(final["blocks"]) == {"converter", "runtime", "litert"}
    assert sum(final["blocks"].values()) > 40_000 and not final["warnings"]
    space = space_of(folder)
    corpus = Corpus(folder / "corpus")
    corpus.refresh()
    assert space.by_scope(corpus.known_blocks(space)) == final["blocks"]
    assert space.totals == final["all_blocks"]
    assert final["history"][-1][4] == sum(final["blocks"].values())


def test_what_is_known_is_no_news_after_a_resume(guided: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, first = guided
    before = sum(first["blocks"].values())
    again = run(folder, "--cases", "3", "--seed", "6")
    grown = sum(again["blocks"].values()) - before
    space = space_of(folder)
    newest = list(lines(folder / "corpus"))[-3:]
    told = [n for line in newest for n in space.unpack(line.blocks)]
    assert len(told) == len(set(told))
    # The first case of a campaign hits 25,000 blocks; here it hits those that ten others did not.
    assert 0 <= grown < before / 3
    assert "corpus" not in again["mutators"]


def test_coverage_tells_of_what_was_reached(guided: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = guided
    told = subprocess.run(
        [sys.executable, "-m", "fuzzer", "coverage", "--json", "--corpus", str(folder / "corpus")],
        check=True,
        capture_output=True,
    )
    scopes = {row["scope"]: row for row in json.loads(told.stdout)["scopes"]}
    assert set(scopes) == {"converter", "runtime", "litert"}


def test_a_killed_executor_delivers_what_it_had_hit(tmp_path: Path) -> None:
    with subprocess.Popen(command(tmp_path, "--cases", "16", "--seed", "5"), stdout=subprocess.DEVNULL) as campaign:
        killed = 0
        while campaign.poll() is None:
            time.sleep(0.35)
            for process in executors() if killed < 8 else ():
                process.kill()
                killed += 1
    assert campaign.returncode == 0 and killed
    final, space = status(tmp_path), space_of(tmp_path)
    corpus = Corpus(tmp_path / "corpus")
    corpus.refresh()
    known = corpus.known_blocks(space)
    assert space.by_scope(known) == final["blocks"]
    died = [line for line in lines(tmp_path / "corpus") if line.died]
    assert not any((tmp_path / "corpus" / f"{line.case}.json").exists() for line in died)


@pytest.mark.parametrize("coverage", ["features", "none"])
def test_native_code_can_be_left_alone(tmp_path: Path, coverage: str) -> None:
    final = run(tmp_path, "--cases", "6", "--coverage", coverage)
    assert final["cases"] == 6 and final["blocks"] == {} and final["features"] > 30
    kept = list((tmp_path / "corpus").glob("*.json"))
    assert bool(kept) is (coverage == "features")
    assert not (tmp_path / "corpus" / ".state" / "blocks.json").exists()


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.write_text("a file where the folder should be")
    done = subprocess.run(
        command(tmp_path, "--cases", "2"),
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert status(tmp_path)["cases"] == 2
