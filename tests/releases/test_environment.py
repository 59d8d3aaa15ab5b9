"""Real environments, filled by the real pip with packages of a few bytes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fuzzer.releases import environment
from fuzzer.releases.environment import MARKER, CannotInstall, Wanted, cached, needs_python, ready
from tests.releases.fakes import GOOD, releases, wheel

ROOT = Path(__file__).parents[2]
OWN = f"{sys.version_info[0]}.{sys.version_info[1]}"
WANTED = Wanted("tensorflow-cpu", "2.16.1", (OWN,))


def version(python: Path) -> str:
    code = "import tensorflow; print(tensorflow.__version__)"
    return subprocess.run([python, "-I", "-c", code], capture_output=True, text=True).stdout.strip()


def test_made_once_and_kept(index: Path) -> None:
    releases(index, {"2.16.1": GOOD})
    where = environment.folder()
    assert not ready(where, WANTED) and cached(where, "tensorflow-cpu") == {}
    python = environment.environment(where, WANTED)
    assert version(python) == "2.16.1" and ready(where, WANTED)
    assert cached(where, "tensorflow-cpu") == {"2.16.1": [OWN]}
    made = python.parent.parent.stat().st_mtime_ns
    (index / "tensorflow-cpu" / "index.html").unlink()  # nothing is fetched again
    assert environment.environment(where, WANTED) == python and python.parent.parent.stat().st_mtime_ns == made


def test_what_another_script_needs_is_added(index: Path) -> None:
    releases(index, {"2.16.1": GOOD})
    where = environment.folder()
    environment.environment(where, WANTED)
    wheel(index, "tf-keras", "2.16.0", "")
    wheel(index, "ai-edge-litert", "1.0.1", "")
    more = Wanted("tensorflow-cpu", "2.16.1", (OWN,), ("ai-edge-litert",), ("tf-keras==2.16.*",))
    assert not ready(where, more)
    python = environment.environment(where, more)
    code = "import tensorflow, tf_keras, ai_edge_litert; print(tf_keras.__version__, ai_edge_litert.__version__)"
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["2.16.0", "1.0.1"], done.stderr
    assert ready(where, more) and ready(where, WANTED)


def test_one_that_was_left_half_made_is_made_anew(index: Path) -> None:
    releases(index, {"2.16.1": GOOD})
    where = environment.folder()
    python = environment.environment(where, WANTED)
    folder = python.parent.parent
    (folder / MARKER).unlink()
    (folder / "rubbish").write_text("x")
    assert not ready(where, WANTED)
    environment.environment(where, WANTED)
    assert not (folder / "rubbish").exists() and version(python) == "2.16.1"


@pytest.mark.parametrize("marker", ["", "{", "3", '{"schema": 99, "installed": ["tensorflow-cpu==2.16.1"]}'])
def test_a_damaged_marker_is_none(index: Path, marker: str) -> None:
    where = environment.folder()
    folder = where / f"tensorflow-cpu-2.16.1-py{OWN}"
    folder.mkdir(parents=True)
    (folder / MARKER).write_text(marker)
    assert not ready(where, WANTED)


def test_what_cannot_be_installed_is_said_and_leaves_nothing(index: Path) -> None:
    releases(index, {"2.17.0": GOOD})
    where = environment.folder()
    with pytest.raises(CannotInstall, match=r"No matching distribution found for tensorflow-cpu==2.16.1"):
        environment.environment(where, WANTED)
    assert [p.name for p in where.iterdir() if p.is_dir()] == []


@pytest.mark.usefixtures("no_index")
def test_no_network(tmp_path: Path) -> None:
    with pytest.raises(CannotInstall, match="no network"):
        environment.environment(tmp_path, WANTED)


def test_a_release_that_no_python_here_supports(index: Path) -> None:
    with pytest.raises(CannotInstall, match=r"needs Python <= 3.8"):
        environment.environment(environment.folder(), Wanted("tensorflow-cpu", "2.9.0", ("3.7", "3.8")))
    assert needs_python(("3.50", "3.51")) == "needs Python >= 3.50" and needs_python(()) == "no wheel for this machine"
    assert needs_python(("3.8", "3.50")) == "needs Python 3.8 to 3.50"


def test_no_room_is_said_before_anything_is_fetched(index: Path, small_disk: Path) -> None:
    releases(index, {"2.16.1": GOOD})
    with pytest.raises(CannotInstall, match=r"no room: \d+ MB free, about 1500 needed"):
        environment.environment(small_disk, WANTED)
    assert [p for p in small_disk.iterdir() if p.is_dir() and p.name != "lost+found"] == []


def test_an_interrupted_one_leaves_nothing_and_the_next_goes_on(index: Path) -> None:
    """Ctrl-C at several moments while an environment is made, by a real process."""
    releases(index, {"2.16.1": GOOD})
    where = environment.folder()
    code = (
        "from fuzzer.releases import environment as e\nimport sys\n"
        "e.environment(e.folder(), e.Wanted('tensorflow-cpu', '2.16.1', (sys.argv[1],)))"
    )
    for wait in (0.3, 0.8):
        maker = subprocess.Popen(
            [sys.executable, "-c", code, OWN],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(wait)
        os.killpg(maker.pid, signal.SIGINT)
        maker.wait(20)
        made = where / f"tensorflow-cpu-2.16.1-py{OWN}"
        assert not made.exists() or json.loads((made / MARKER).read_text())["installed"] == ["tensorflow-cpu==2.16.1"]
    assert version(environment.environment(where, WANTED)) == "2.16.1"


def test_two_at_once_make_one(index: Path) -> None:
    releases(index, {"2.16.1": GOOD})
    code = (
        "from fuzzer.releases import environment as e\nimport sys\n"
        "print(e.environment(e.folder(), e.Wanted('tensorflow-cpu', '2.16.1', (sys.argv[1],))))"
    )
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", code, OWN],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [maker.communicate(timeout=60)[0] for maker in makers]
    assert said[0] == said[1] != "" and version(Path(said[0].strip())) == "2.16.1"


def test_this_environment_counts_where_it_is_the_release() -> None:
    from importlib.metadata import version as installed

    assert environment.installed_here([f"numpy=={installed('numpy')}", "pytest"])
    assert not environment.installed_here(["numpy==0.1"]) and not environment.installed_here(["no-such-package"])


@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not installed")
def test_uv_makes_it_where_it_is(index: Path) -> None:
    releases(index, {"2.16.1": GOOD})
    python = environment.environment(environment.folder(), WANTED)
    assert "uv = " in (python.parent.parent / "pyvenv.cfg").read_text() and version(python) == "2.16.1"
