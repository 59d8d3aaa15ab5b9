"""Fixtures that several groups share: zygotes (the tiny one and the one with TensorFlow) and executors."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from fuzzer.execute import Executor, Limits, Zygote

TINY = "tests.execute.targets"
REAL = "tests.execute.real"

settings.register_profile(
    "default",
    deadline=None,  # the machine of a build server is shared; tests that mind time measure it themselves
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    derandomize=True,
    print_blob=True,
)
settings.load_profile("default")


@pytest.fixture(scope="session", autouse=True)
def heeded_signals() -> None:
    """Lets processes that tests start heed the signals that tests send them.

    `nohup ./scripts/test &` starts Python with these ignored, which every process started from there inherits; a
    handler is not inherited. This process goes on as if it ignored them.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@pytest.fixture(scope="session")
def tiny_zygote() -> Iterator[Zygote]:
    """A zygote whose target dies, hangs and floods on request."""
    zygote = Zygote(TINY)
    zygote.wait_ready(30.0)
    yield zygote
    zygote.stop()


@pytest.fixture(scope="session")
def real_zygote() -> Iterator[Zygote]:
    """A zygote with TensorFlow in it. Only slow tests may ask for it."""
    zygote = Zygote(REAL, watch=True)
    zygote.wait_ready()
    yield zygote
    zygote.stop()


@pytest.fixture
def make_executor(tiny_zygote: Zygote) -> Iterator[Callable[..., Executor]]:
    """Makes executors of the tiny target; all are closed afterwards."""
    made: list[Executor] = []

    def make(zygote: Zygote = tiny_zygote, **limits: float) -> Executor:
        made.append(Executor(zygote.path, Limits(**limits)))
        return made[-1]

    yield make
    for executor in made:
        executor.close()


@pytest.fixture
def executor(make_executor: Callable[..., Executor]) -> Executor:
    """One executor of the tiny target."""
    return make_executor()


@pytest.fixture
def real(real_zygote: Zygote) -> Iterator[Executor]:
    """One executor with TensorFlow, and patience."""
    executor = Executor(real_zygote.path, Limits(timeout_s=60.0))
    yield executor
    executor.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte, or a skip where none may be mounted."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0 or os.system(f"mount -t tmpfs -o size=1m tmpfs {folder} 2>/dev/null") != 0:
        pytest.skip("mounting a tiny tmpfs needs root; the file-size limit tests cover the same code")
    yield folder
    os.system(f"umount -l {folder}")


@pytest.fixture(scope="session")
def _folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where each test has its working folder. Not `mktemp`, which looks through all of them to number the next."""
    return tmp_path_factory.mktemp("cwd")


@pytest.fixture(autouse=True)
def _no_stray_files(monkeypatch: pytest.MonkeyPatch, _folders: Path) -> None:
    """Tests never write to the repository's own corpus and crashes."""
    monkeypatch.chdir(tempfile.mkdtemp(dir=_folders))
    assert tempfile.gettempdir() != str(Path.cwd())
