"""Executors of the tiny target: every way to die, through the real zygote."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fuzzer.execute import Death, Executor, Limits, Reply, Zygote, ZygoteDiedError
from fuzzer.execute.client import LOG_TAIL_BYTES
from fuzzer.execute.executor import MAX_FILE_BYTES
from tests.conftest import TINY
from tests.execute.processes import children, dead, gone, wait_for

Make = Callable[..., Executor]
RECOVERY_S = 0.3
ROOT = Path(__file__).parents[2]


def alive_and_well(executor: Executor) -> dict[str, Any]:
    answer = executor.run({"do": "echo", "value": [1, "ä"]})
    assert isinstance(answer, Reply)
    assert answer.message["echo"] == [1, "ä"]
    return answer.message


def scratch_of(executor: Executor) -> Path:
    return Path(alive_and_well(executor)["scratch"])


# --- living -----------------------------------------------------------------------------------------------


def test_one_process_answers_many_requests(executor: Executor) -> None:
    first = alive_and_well(executor)
    for _ in range(50):
        message = alive_and_well(executor)
        assert message["pid"] == first["pid"] == executor.pid and message["prepared"] == 1
    assert executor.started == 1 and executor.recycled == 0


def test_a_big_reply_arrives_whole(executor: Executor) -> None:
    answer = executor.run({"do": "big", "mb": 20})
    assert isinstance(answer, Reply) and len(answer.message["data"]) == 20 << 20


def test_an_exception_of_the_target_is_a_bug_not_a_death(executor: Executor) -> None:
    pid = alive_and_well(executor)["pid"]
    answer = executor.run({"do": "raise"})
    assert isinstance(answer, Reply)
    assert "ValueError: planted by the test" in answer.message["bug"] and "targets.py" in answer.message["bug"]
    assert alive_and_well(executor)["pid"] == pid


def test_executors_share_nothing(make_executor: Make) -> None:
    one, two = make_executor(), make_executor()
    assert alive_and_well(one)["pid"] != alive_and_well(two)["pid"]
    assert scratch_of(one) != scratch_of(two)
    assert isinstance(one.run({"do": "abort"}), Death)
    assert alive_and_well(two)["prepared"] == 1 and two.started == 1


def test_the_log_holds_one_case(executor: Executor) -> None:
    executor.run({"do": "echo", "say": "words of the first case"})
    death = executor.run({"do": "abort", "say": "last words"})
    assert isinstance(death, Death)
    assert "last words" in death.log and "first case" not in death.log


# --- dying ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("do", "kind", "name"),
    [
        ("abort", "crash", "SIGABRT"),
        ("segfault", "crash", "SIGSEGV"),
        ("fpe", "crash", "SIGFPE"),
        ("exit", "crash", "exit 3"),
        ("system_exit", "crash", "exit 1"),
        ("killed", "out-of-memory", "SIGKILL"),
    ],
)
def test_a_death_is_told_by_signal_stage_and_log(executor: Executor, do: str, kind: str, name: str) -> None:
    alive_and_well(executor)
    death = executor.run({"do": do, "stage": "invoke tf-xnnpack", "say": "Check failed: a == b\n"})
    assert isinstance(death, Death)
    assert (death.kind, death.signal) == (kind, name)
    assert (death.stage, death.detail) == ("invoke", "tf-xnnpack")
    assert "Check failed: a == b" in death.log
    assert death.elapsed_s < 5
    assert alive_and_well(executor)["prepared"] == 1
    assert executor.started == 2


@pytest.mark.parametrize("do", ["abort", "segfault", "fpe"])
def test_the_python_stack_is_in_the_log(executor: Executor, do: str) -> None:
    death = executor.run({"do": do})
    assert isinstance(death, Death)
    assert f"in do_{do}" in death.log and "targets.py" in death.log


def test_a_death_before_any_stage(executor: Executor) -> None:
    death = executor.run({"do": "abort"})
    assert isinstance(death, Death) and (death.stage, death.detail) == ("start", "")


@pytest.mark.parametrize("do", ["hang", "sleep", "hang_in_c"])
def test_a_hang_is_ended_and_leaves_its_stack(make_executor: Make, do: str) -> None:
    executor = make_executor(timeout_s=0.3)
    alive_and_well(executor)
    death = executor.run({"do": do, "stage": "convert"})
    assert isinstance(death, Death)
    assert (death.kind, death.stage) == ("hang", "convert")
    assert 0.3 <= death.elapsed_s < 5
    assert f"in do_{do}" in death.log
    alive_and_well(executor)


def test_a_time_out_may_be_given_for_one_request(executor: Executor) -> None:
    begun = time.monotonic()
    death = executor.run({"do": "hang"}, timeout_s=0.2)
    assert isinstance(death, Death) and death.kind == "hang" and time.monotonic() - begun < 3


def test_a_leak_is_ended_at_the_memory_limit(make_executor: Make) -> None:
    executor = make_executor(memory_mb=400.0, timeout_s=30.0)
    death = executor.run({"do": "leak", "stage": "invoke litert"})
    assert isinstance(death, Death)
    assert (death.kind, death.stage, death.detail) == ("out-of-memory", "invoke", "litert")
    assert 400 < death.rss_mb < 4000
    alive_and_well(executor)


def test_rubbish_in_place_of_a_reply(make_executor: Make) -> None:
    """A damaged process may write anything: that is its death, found without waiting for half a minute."""
    executor = make_executor(timeout_s=5.0)
    begun = time.monotonic()
    death = executor.run({"do": "babble", "stage": "invoke"})
    assert isinstance(death, Death) and death.kind in ("crash", "out-of-memory") and death.stage == "invoke"
    assert time.monotonic() - begun < 5
    alive_and_well(executor)


def test_recovery_takes_no_time(executor: Executor) -> None:
    """The tiny target has nothing to load; the best of a few counts, because the machine is shared."""
    alive_and_well(executor)
    times = []
    for _ in range(8):
        begun = time.monotonic()
        assert isinstance(executor.run({"do": "abort"}), Death)
        alive_and_well(executor)
        times.append(time.monotonic() - begun)
    assert min(times) <= RECOVERY_S and sorted(times)[len(times) // 2] <= 2 * RECOVERY_S


def test_a_hundred_deaths_leave_nothing_behind(tiny_zygote: Zygote, make_executor: Make) -> None:
    executor = make_executor()
    scratch = scratch_of(executor)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(100):
        assert isinstance(executor.run({"do": "litter"}), Death)
    assert [p.name for p in scratch.iterdir()] == ["log"]
    alive_and_well(executor)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
    wait_for(lambda: len(children(tiny_zygote.process.pid)) <= 1, what="one executor and no zombies")


# --- limits -----------------------------------------------------------------------------------------------


def test_an_executor_that_grew_is_replaced_after_its_case(make_executor: Make) -> None:
    executor = make_executor(recycle_mb=300.0)
    first = alive_and_well(executor)["pid"]
    answer = executor.run({"do": "grow", "mb": 400})
    assert isinstance(answer, Reply) and answer.message["pid"] == first
    assert executor.recycled == 1
    assert alive_and_well(executor)["pid"] != first
    assert executor.started == 2
    wait_for(lambda: gone(first))


def test_ten_megabytes_of_output_do_no_harm(executor: Executor) -> None:
    answer = executor.run({"do": "print", "mb": 10, "last": "the end"})
    assert isinstance(answer, Reply) and answer.message["size"] == (10 << 20) + len("the end")
    alive_and_well(executor)


def test_the_tail_of_a_long_log_is_kept(executor: Executor) -> None:
    death = executor.run({"do": "print", "mb": 10, "last": "LAST WORDS\n", "die": True})
    assert isinstance(death, Death)
    assert len(death.log.encode()) <= LOG_TAIL_BYTES and "LAST WORDS" in death.log
    assert "in do_print" in death.log


def test_a_flood_of_output_cannot_fill_the_disk(make_executor: Make) -> None:
    executor = make_executor(timeout_s=1.0)
    log = scratch_of(executor) / "log"
    death = executor.run({"do": "flood"})
    assert isinstance(death, Death) and death.kind == "hang"
    assert log.stat().st_size <= MAX_FILE_BYTES and len(death.log.encode()) <= LOG_TAIL_BYTES
    alive_and_well(executor)
    assert log.stat().st_size < 1000


def test_limits_depend_on_the_road() -> None:
    from dataclasses import replace

    from tests.strategies import drawn_case

    case = drawn_case(1)
    plain = replace(case, conversion=replace(case.conversion, entry="concrete_function"))
    dear = replace(case, conversion=replace(case.conversion, entry="legacy_keras"))
    assert Limits(timeout_s=2.0).timeout_for(plain) == 2.0
    assert Limits(timeout_s=2.0).timeout_for(dear) > 2.0


# --- owners and zygotes -----------------------------------------------------------------------------------


def test_close_leaves_no_process_and_no_folder(tiny_zygote: Zygote) -> None:
    executor = Executor(tiny_zygote.path)
    scratch, pid = scratch_of(executor), executor.pid
    executor.close()
    wait_for(lambda: gone(pid))
    assert not scratch.exists()


def test_a_stopped_zygote_takes_its_executors_and_its_folder_along() -> None:
    zygote = Zygote(TINY)
    zygote.wait_ready(30.0)
    executors = [Executor(zygote.path) for _ in range(3)]
    pids = [alive_and_well(e)["pid"] for e in executors]
    folder = zygote.folder
    zygote.stop()
    assert not folder.exists() and not zygote.alive
    wait_for(lambda: all(dead(p) for p in pids))
    for executor in executors:
        executor.close()


def test_a_killed_zygote_is_reported_and_can_be_started_again(tmp_path: Path) -> None:
    zygote = Zygote(TINY, tmp_path / "log")
    zygote.wait_ready(30.0)
    executor = Executor(zygote.path)
    try:
        pid = alive_and_well(executor)["pid"]
        os.kill(zygote.process.pid, signal.SIGKILL)
        wait_for(lambda: dead(pid), what="executors die with their zygote")
        with pytest.raises(ZygoteDiedError):
            executor.run({"do": "echo"})
        executor.forget()
        with pytest.raises(ZygoteDiedError):
            executor.run({"do": "echo"})
        assert not zygote.alive
        zygote.restart()
        zygote.wait_ready(30.0)
        assert alive_and_well(executor)["pid"] != pid
    finally:
        executor.close()
        zygote.stop()


def test_the_zygote_killed_in_mid_case(tmp_path: Path) -> None:
    zygote = Zygote(TINY, tmp_path / "log")
    zygote.wait_ready(30.0)
    executor = Executor(zygote.path, Limits(timeout_s=30.0))
    try:
        alive_and_well(executor)
        killer = subprocess.Popen(["sh", "-c", f"sleep 0.2; kill -9 {zygote.process.pid}"])
        begun = time.monotonic()
        with pytest.raises(ZygoteDiedError):
            executor.run({"do": "sleep"})
        assert time.monotonic() - begun < 10
        killer.wait()
    finally:
        executor.close()
        zygote.stop()


def test_a_target_that_cannot_be_loaded_says_why() -> None:
    zygote = Zygote("tests.execute.no_such_target")
    try:
        with pytest.raises(ZygoteDiedError, match="no_such_target"):
            zygote.wait_ready(30.0)
    finally:
        zygote.stop()


OWNER = """
import json, sys, time
from fuzzer.execute import Executor
executor = Executor(sys.argv[1])
message = executor.run({"do": "echo"}).message
print(json.dumps([message["pid"], message["scratch"]]), flush=True)
executor.run({"do": "sleep"}, 1000.0)
"""


def test_executors_die_when_their_owner_is_killed(tiny_zygote: Zygote) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, tiny_zygote.path],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert owner.stdout is not None
    pid, scratch = json.loads(owner.stdout.readline())
    assert not gone(pid)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    wait_for(lambda: gone(pid), what="the executor and its zombie are gone")
    assert tiny_zygote.alive
    if Path(scratch).exists():  # nobody was left to remove it: it holds a log and nothing else
        import shutil

        assert [p.name for p in Path(scratch).iterdir()] == ["log"]
        shutil.rmtree(scratch)


def test_the_zygote_dies_with_its_supervisor() -> None:
    code = f"""
import sys, time
from fuzzer.execute import Executor, Zygote
zygote = Zygote({TINY!r}); zygote.wait_ready(30.0)
executor = Executor(zygote.path); executor.run({{"do": "echo"}})
print(zygote.process.pid, executor.pid, zygote.folder, executor._scratch, flush=True)
time.sleep(1000)
"""
    supervisor = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert supervisor.stdout is not None
    zygote, executor, *folders = supervisor.stdout.readline().split()
    supervisor.kill()
    supervisor.wait()
    supervisor.stdout.close()
    wait_for(lambda: dead(int(zygote)) and dead(int(executor)))
    import shutil

    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def test_ctrl_c_is_not_the_executors_business(executor: Executor, tiny_zygote: Zygote) -> None:
    pid = alive_and_well(executor)["pid"]
    os.kill(pid, signal.SIGINT)
    os.kill(tiny_zygote.process.pid, signal.SIGINT)
    assert alive_and_well(executor)["pid"] == pid and tiny_zygote.alive
