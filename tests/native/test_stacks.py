"""Native stacks of real executors that die in functions of a library with known names."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fuzzer import native
from fuzzer.execute import Death, Executor, Reply, Zygote
from fuzzer.native.build import compile_library
from fuzzer.native.culprit import Culprit, culprit, culprit_of_samples
from fuzzer.native.symbols import function_at
from fuzzer.oracles.death import FRAME, STACK, judge_death
from tests.conftest import TINY

Make = Callable[..., Executor]
FOLDER = Path(__file__).parent


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library, by the compiler that the campaign would use."""
    target = tmp_path_factory.mktemp("planted") / "libplanted.so"
    compile_library(target, ("planted.c",), FOLDER)
    return target


def died(executor: Executor, library: Path, function: str, **more: object) -> Death:
    answer = executor.run({"do": "planted", "library": str(library), "function": function, **more})
    assert isinstance(answer, Death), answer
    return answer


def functions(death: Death) -> list[str]:
    assert death.crashed is not None
    return [function_at(frame) for frame in death.crashed.frames]


def test_the_library_is_here() -> None:
    assert native.problem() == ""


# --- crashes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "name", "stack"),
    [
        ("planted_segfault", "SIGSEGV", ["reads_nowhere", "planted_segfault"]),
        ("planted_abort", "SIGABRT", ["gives_up", "planted_outer", "planted_abort"]),
        ("planted_fpe", "SIGFPE", ["planted_division", "planted_fpe"]),
        ("planted_trap", "SIGILL", ["planted_trap"]),
        ("planted_breakpoint", "SIGTRAP", ["planted_breakpoint"]),
    ],
)
def test_a_crash_is_named_by_its_innermost_function(
    executor: Executor, planted: Path, function: str, name: str, stack: list[str]
) -> None:
    death = died(executor, planted, function)
    assert (death.kind, death.signal) == ("crash", name)
    found = functions(death)
    begin = found.index(stack[0])
    assert found[begin : begin + len(stack)] == stack
    verdict = judge_death(death)
    assert verdict.message == f"{name} in {stack[0]}" and verdict.evidence[FRAME] == stack[0]
    assert f"libplanted.so {stack[0]}" in verdict.evidence[STACK]
    assert "in do_planted" in death.log, "the Python stack is in the log as before"
    assert isinstance(executor.run({"do": "echo"}), Reply)


def test_a_crash_in_another_thread(executor: Executor, planted: Path) -> None:
    death = died(executor, planted, "planted_thread")
    assert death.crashed is not None and death.signal == "SIGSEGV"
    assert functions(death)[:3] == ["reads_nowhere", "planted_segfault", "thread_body"]
    assert culprit(death.crashed).function == "reads_nowhere"


def test_a_stack_overflow_names_the_recursion(executor: Executor, planted: Path) -> None:
    death = died(executor, planted, "planted_recursion", arguments=[0])
    assert death.signal == "SIGSEGV" and death.crashed is not None and death.crashed.overflow
    assert judge_death(death).message == "SIGSEGV in planted_recursion (stack overflow)"


def test_a_call_through_a_bad_pointer_names_the_caller(executor: Executor, planted: Path) -> None:
    death = died(executor, planted, "planted_bad_call")
    assert death.crashed is not None and death.crashed.address == 64
    assert judge_death(death).message == "SIGSEGV in planted_bad_call"


def test_a_smashed_stack_keeps_its_innermost_function(executor: Executor, planted: Path) -> None:
    death = died(executor, planted, "planted_smashed")
    assert death.elapsed_s < 5 and judge_death(death).message == "SIGSEGV in planted_smashed"


def test_a_signal_that_somebody_sends_is_no_function(executor: Executor) -> None:
    """`kill` from Python: the stack has libc and the interpreter, and no frame is blamed."""
    death = executor.run({"do": "fpe"})
    assert isinstance(death, Death) and death.crashed is not None and death.crashed.address == 0
    assert culprit(death.crashed) == Culprit() and judge_death(death).message == "SIGFPE"


@pytest.mark.parametrize("function", ["planted_double_free", "planted_heap_crash"])
def test_a_broken_heap_has_no_culprit(executor: Executor, planted: Path, function: str) -> None:
    verdict = judge_death(died(executor, planted, function))
    assert verdict.message == "heap corruption" and FRAME not in verdict.evidence


def test_one_executor_after_another_starts_with_an_empty_page(executor: Executor, planted: Path) -> None:
    assert judge_death(died(executor, planted, "planted_segfault")).message == "SIGSEGV in reads_nowhere"
    death = executor.run({"do": "exit"})
    assert isinstance(death, Death) and death.crashed is None and death.samples == ()
    assert judge_death(died(executor, planted, "planted_abort")).message == "SIGABRT in gives_up"


# --- hangs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", ["planted_loop", "planted_busy_thread"])
def test_a_hang_names_its_loop(make_executor: Make, planted: Path, function: str) -> None:
    """Samples end in whatever the loop happens to call; the busy thread need not be the one that waits for it."""
    death = died(make_executor(timeout_s=0.3), planted, function)
    assert death.kind == "hang" and len(death.samples) == 5 and death.crashed is None
    assert "planted_loop" in [function_at(frame) for frame in death.samples[0].frames]
    assert culprit_of_samples(death.samples).function in ("planted_loop", "busy_one", "busy_two")
    assert any("planted_loop" in line for line in judge_death(death).evidence[STACK])


def test_what_samples_share_is_the_loop(make_executor: Make, planted: Path) -> None:
    """Enough samples see both callees, and then only the loop is common to all."""
    executor = make_executor(timeout_s=0.2)
    samples = [t for _ in range(4) for t in died(executor, planted, "planted_loop").samples]
    innermost = {function_at(trace.frames[0]) for trace in samples}
    assert innermost >= {"busy_one", "busy_two"}
    assert culprit_of_samples(samples).function == "planted_loop"


def test_a_sleeper_is_sampled_where_it_sleeps(make_executor: Make) -> None:
    death = make_executor(timeout_s=0.2).run({"do": "sleep"})
    assert isinstance(death, Death) and death.kind == "hang" and death.samples
    assert judge_death(death).message == "no answer"


def test_sampling_does_not_disturb(make_executor: Make) -> None:
    """A process that is looked at goes on."""
    from fuzzer.execute.sampling import sample

    executor = make_executor(timeout_s=20.0)
    before = executor.run({"do": "echo"})
    assert isinstance(before, Reply)
    pid = before.message["pid"]
    taken = sample(pid, executor._stage, 3)
    assert len(taken) == 3 and all(trace.signal == signal.SIGUSR2 for trace in taken)
    answer = executor.run({"do": "echo", "value": 1})
    assert isinstance(answer, Reply) and answer.message["pid"] == pid


def test_a_leak_leaves_a_stack_and_a_title_without_it(make_executor: Make) -> None:
    death = make_executor(memory_mb=400.0, timeout_s=30.0).run({"do": "leak"})
    assert isinstance(death, Death) and death.kind == "out-of-memory" and len(death.samples) == 1
    verdict = judge_death(death)
    assert verdict.message == "memory limit" and verdict.evidence[STACK]


# --- the same everywhere ----------------------------------------------------------------------------------


def test_two_processes_and_two_places_give_one_name(make_executor: Make, planted: Path, tmp_path: Path) -> None:
    """Address spaces differ, and so do the paths of two installations."""
    elsewhere = tmp_path / "another" / "site-packages" / planted.name
    elsewhere.parent.mkdir(parents=True)
    shutil.copy(planted, elsewhere)
    other = Zygote(TINY)
    try:
        other.wait_ready(30.0)
        deaths = [
            died(make_executor(), planted, "planted_abort"),
            died(make_executor(zygote=other), elsewhere, "planted_abort"),
        ]
    finally:
        other.stop()
    one, two = (judge_death(death) for death in deaths)
    assert one.message == two.message == "SIGABRT in gives_up"
    assert one.evidence[STACK][:6] == two.evidence[STACK][:6]
    assert not any("/" in line or "0x7f" in line for line in one.evidence[STACK])


# --- without it -------------------------------------------------------------------------------------------

WITHOUT = f"""
from fuzzer import native
from fuzzer.execute import Executor, Limits, Zygote
from fuzzer.oracles.death import judge_death
print(native.problem())
zygote = Zygote({TINY!r}); zygote.wait_ready(30.0)
executor = Executor(zygote.path, Limits(timeout_s=0.3))
for do in ("segfault", "hang"):
    death = executor.run({{"do": do}})
    told = judge_death(death).message, f"in do_{{do}}" in death.log
    print(death.kind, death.signal, death.crashed, death.samples, *told)
executor.close(); zygote.stop()
"""


def test_without_a_compiler_deaths_are_told_as_before(tmp_path: Path) -> None:
    """A copy of the package without a compiled library, on a machine without a compiler."""
    root = FOLDER.parents[1]
    ignored = shutil.ignore_patterns("*.so", "__pycache__")
    for package in ("fuzzer", "tests"):
        shutil.copytree(root / package, tmp_path / package, ignore=ignored)
    environment = {**os.environ, "PATH": str(tmp_path), "PYTHONPATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    environment.pop("CC", None)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    problem, *deaths = done.stdout.splitlines()
    if not problem:
        pytest.skip("the zig wheel is installed, so there is a compiler")
    assert "there is no C compiler" in problem and "pip install ziglang" in problem, done.stderr
    assert deaths == ["crash SIGSEGV None () SIGSEGV True", "hang SIGKILL None () no answer True"], done.stderr
