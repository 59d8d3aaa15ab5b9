"""The tripwire reports exactly the blocks that run, and changes nothing else."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fuzzer import native
from fuzzer.coverage import tables, tripwire
from fuzzer.coverage.space import BlockSpace, Library
from fuzzer.coverage.tripwire import Hits
from fuzzer.execute.stage import StageCell
from fuzzer.native.symbols import function_at
from tests.coverage.flow.runs import Flow, arm, armed, in_child, load, plain, stepped

FLOWS = [
    *(("flow_loop", n) for n in (0, 1, 3, 45)),
    *(("flow_switch", n) for n in range(11)),
    *(("flow_goto", n) for n in range(4)),
    *(("flow_float", n) for n in (0, 3)),
    *(("flow_flags", n) for n in (4, 5, 6)),
    *(("flow_red_zone", n) for n in (-3, 9)),
    *(("flow_recursion", n) for n in (1, 7)),
    *(("flow_tail", n) for n in (0, 5)),
    *(("flow_virtual", n) for n in (2, 3, 5)),
    *(("flow_throw", n) for n in range(4)),
    *(("flow_jump", n) for n in (0, 2, 5)),
    *(("flow_threads", n) for n in (1, 4)),
    *(("flow_signal", n) for n in (0, 1)),
    ("flow_alternate", 0),
    *(("flow_blocked", n) for n in (0, 1, 2)),
    ("flow_own_trap", 0),
    *(("flow_fork", n) for n in (2, 7)),
    *(("flow_spawn", n) for n in (0, 1)),
    ("flow_killed", 4),
]


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flow]:
    """The library with known control flow; its table goes to a cache of its own."""
    folder = tmp_path_factory.mktemp("flow")
    with pytest.MonkeyPatch.context() as patch:
        assert native.problem() == ""
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield load(folder)


@pytest.fixture
def hits(flow: Flow) -> Iterator[Hits]:
    made = Hits(flow.space)
    yield made
    made.close()


# --- exactly what runs ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "number"), FLOWS)
def test_exactly_the_blocks_that_run_are_reported(flow: Flow, name: str, number: int) -> None:
    """The witness is the processor, which steps through the same call in another child."""
    truth, told = stepped(flow, name, number), armed(flow, name, number)
    missing = sorted(flow.names[n] for n in truth.blocks - told.blocks)
    made_up = sorted(flow.names[n] for n in told.blocks - truth.blocks)
    assert (missing, made_up) == ([], [])
    assert truth.blocks & flow.blocks_of(name), "the function itself is among them"
    assert (told.status, told.result) == (truth.status, truth.result)


def test_the_ways_through_a_function_differ(flow: Flow) -> None:
    """So that the test above is not passed by reporting whole functions."""
    ways = [frozenset(armed(flow, "flow_switch", n).blocks & flow.blocks_of("flow_switch")) for n in range(11)]
    assert len(set(ways)) == 11
    everything = flow.blocks_of("flow_switch")
    assert all(way < everything for way in ways)


def test_a_block_is_reported_once_and_then_costs_nothing(flow: Flow, hits: Hits) -> None:
    first = armed(flow, "flow_loop", 30, hits)
    assert first.blocks
    assert armed(flow, "flow_loop", 30, hits).blocks == set(), "another executor does not arm what is known"
    more, all_of_it = armed(flow, "flow_killed", 30, hits), armed(flow, "flow_killed", 30)
    assert more.blocks == all_of_it.blocks - first.blocks < all_of_it.blocks


def test_known_blocks_are_not_armed(flow: Flow, hits: Hits) -> None:
    known = set(random.Random(5).sample(range(flow.space.size), flow.space.size // 2))
    hits.know(known)
    before = flow.code()

    def work() -> int:
        arm(hits)
        after = flow.code()
        begin = flow.text[0] - flow.bias
        changed = {begin + i for i in range(len(before)) if before[i] != after[i]}
        unknown = {flow.addresses[n] for n in range(flow.space.size) if n not in known}
        own = {a for a in unknown if before[a - begin] == 0xCC}
        assert changed == unknown - own
        assert {after[a - begin] for a in changed} == {0xCC}
        return len(changed)

    status, changed = in_child(work)
    assert status == 0 and changed > 100
    assert armed(flow, "flow_switch", 5, hits).blocks.isdisjoint(known)


def test_what_is_forgotten_is_news(flow: Flow, hits: Hits) -> None:
    first = armed(flow, "flow_tail", 5, hits).blocks
    some = set(sorted(first)[::2])
    hits.forget(some)
    assert armed(flow, "flow_tail", 5, hits).blocks == some


# --- threads ----------------------------------------------------------------------------------------------


def test_threads_race_into_every_block(flow: Flow, hits: Hits) -> None:
    """Eight threads, 4000 blocks, ten times: all of them are told, and each thread went through each."""
    steps = sorted(flow.blocks_of("ladder"))
    assert len(steps) >= 4000

    def work() -> int:
        arm(hits)
        climbers = flow.function("climbers")
        missing = climbers(8)
        for _ in range(9):
            assert hits.take() and tripwire.rearm(steps) == len(steps)
            missing += climbers(8)
        return missing

    assert in_child(work) == (0, 0)
    assert set(hits.take()) == set(steps)


def test_blocks_are_armed_under_running_threads(flow: Flow, hits: Hits) -> None:
    everything = range(flow.space.size)

    def work() -> int:
        arm(hits)
        flow.library.turners_start()
        begun = time.monotonic()
        while time.monotonic() - begun < 1.0:
            tripwire.rearm(everything)
            tripwire.disarm()
        tripwire.rearm(everything)
        time.sleep(0.1)
        return flow.function("turners_stop")(0)

    status, turns = in_child(work)
    assert status == 0 and turns > 100
    assert set(hits.take()) & flow.blocks_of("flow_red_zone")


# --- processes --------------------------------------------------------------------------------------------


def test_two_processes_share_the_memory(flow: Flow, hits: Hits) -> None:
    apart = [armed(flow, name, 6).blocks for name in ("flow_loop", "flow_recursion")]

    def work() -> int:
        children = []
        for name in ("flow_loop", "flow_recursion") * 2:
            child = os.fork()
            if child == 0:
                arm(hits)
                flow.function(name)(6)
                os._exit(0)
            children.append(child)
        return sum(os.waitpid(child, 0)[1] for child in children)

    assert in_child(work) == (0, 0)
    assert set(hits.take()) == apart[0] | apart[1]
    assert hits.take() == []


def test_kill_9_loses_nothing(flow: Flow) -> None:
    """Every step of the ladder says in other memory that it ran: whenever the process dies, those were reported."""
    steps = sorted(flow.blocks_of("ladder"))[:4000]
    chance, cut = random.Random(7), 0
    for _ in range(40):
        hits = Hits(flow.space)
        progress = os.memfd_create("progress")
        os.ftruncate(progress, 4096)
        ready, tell = os.pipe()
        child = os.fork()
        if child == 0:
            arm(hits)
            shared = ctypes.CDLL(None).mmap
            shared.restype, shared.argtypes = ctypes.c_void_p, [ctypes.c_void_p, *[ctypes.c_long] * 5]
            own = shared(None, 4096, 3, 1, progress, 0)  # PROT_READ | PROT_WRITE, MAP_SHARED
            os.write(tell, b".")
            flow.library.ladder(ctypes.c_void_p(own))
            os._exit(0)
        os.read(ready, 1)
        time.sleep(chance.random() * 0.008)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        told = set(hits.take())
        ran = {steps[i] for i, byte in enumerate(os.pread(progress, 4000, 0)) if byte}
        assert ran <= told and len(told - ran) <= 1, "the one that was about to run"
        cut += 0 < len(ran) < 4000
        assert hits.take() == []
        hits.close()
        for handle in (progress, ready, tell):
            os.close(handle)
    assert cut >= 3, "the process was killed on its way"


def test_a_hit_that_was_cut_in_two_is_found(flow: Flow, hits: Hits) -> None:
    """Killed behind the first counter and the byte: the counters never meet again, and nothing is lost for it."""
    hits._counters[0] += 1
    hits._states[7] = tripwire._HIT
    assert hits.take() == [7] and hits.take() == []
    hits._states[9] = tripwire._HIT
    assert hits.take() == [9]
    assert armed(flow, "flow_tail", 3, hits).blocks == armed(flow, "flow_tail", 3).blocks


def test_what_a_stack_overflow_reached_is_told(flow: Flow) -> None:
    death = armed(flow, "flow_overflow", 0)
    assert os.WTERMSIG(death.status) == signal.SIGSEGV
    assert death.blocks & flow.blocks_of("flow_overflow")


@pytest.mark.parametrize("how", ["return", "sys.exit(0)", "os._exit(0)"])
def test_a_program_ends_as_usual(flow: Flow, how: str) -> None:
    """Threads run into blocks while the interpreter goes, and a destructor runs after it."""
    hits = Hits(flow.space)
    code = f"""if True:
        import ctypes, os, sys, time
        from fuzzer.coverage import tripwire
        library = ctypes.CDLL({str(flow.path)!r})
        assert tripwire.arm({hits.handle}) == ""
        library.turners_start()
        time.sleep(0.05)
        {"pass" if how == "return" else how}
    """
    done = subprocess.run([sys.executable, "-c", code], pass_fds=[hits.handle], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    told = set(hits.take())
    assert told & flow.blocks_of("flow_flags")
    assert bool(told & flow.blocks_of("last_words")) == (how != "os._exit(0)")
    hits.close()


# --- arming, again and no more ----------------------------------------------------------------------------


def test_a_subset_is_armed_again(flow: Flow, hits: Hits) -> None:
    chosen = sorted(armed(flow, "flow_loop", 30).blocks)[::3]
    never = sorted(flow.blocks_of("flow_goto"))

    def work() -> int:
        arm(hits)
        call = flow.function("flow_loop")
        call(30)
        assert len(hits.take()) > len(chosen)
        assert tripwire.rearm([*chosen, *never]) == len(chosen), "the others are armed still"
        call(30)
        assert hits.take() == chosen
        call(30)
        assert hits.take() == [] and tripwire.rearm([flow.space.size, 4_000_000_000]) == 0
        return 1

    assert in_child(work) == (0, 1)


def test_blocks_that_were_known_can_be_armed_later(flow: Flow, hits: Hits) -> None:
    """For a process that measures: it begins with what the campaign knows."""
    hits.know(range(flow.space.size))
    wanted = armed(flow, "flow_recursion", 6).blocks

    def work() -> int:
        arm(hits)
        flow.function("flow_recursion")(6)
        assert hits.take() == []
        assert tripwire.rearm(wanted) == len(wanted)
        return flow.function("flow_recursion")(6)

    assert in_child(work)[0] == 0
    assert set(hits.take()) == wanted


def test_disarmed_text_is_that_of_the_file(flow: Flow, hits: Hits) -> None:
    before = flow.code()

    def work() -> int:
        arm(hits)
        assert flow.code() != before
        flow.function("flow_loop")(30)
        assert tripwire.disarm() > 100 and flow.code() == before
        hits.take()
        flow.function("flow_switch")(5)
        assert hits.take() == [] and tripwire.disarm() == 0
        assert tripwire.rearm(flow.blocks_of("flow_switch")) == len(flow.blocks_of("flow_switch"))
        return flow.function("flow_switch")(5)

    assert in_child(work)[0] == 0
    assert set(hits.take()) <= flow.blocks_of("flow_switch")


def test_a_process_is_armed_once(flow: Flow, hits: Hits) -> None:
    def work() -> int:
        arm(hits)
        assert "has been armed before" in tripwire.arm(hits.handle)
        return flow.function("flow_loop")(5)

    assert in_child(work)[0] == 0
    assert set(hits.take()) == armed(flow, "flow_loop", 5).blocks


# --- other users of SIGTRAP -------------------------------------------------------------------------------


def test_a_breakpoint_of_the_programs_own_kills_as_before(flow: Flow, hits: Hits, tmp_path: Path) -> None:
    """Its stack is written by the handler of deaths, and faulthandler prints the Python stack, once."""
    stage = StageCell()
    log = tmp_path / "log"

    def work() -> int:
        with log.open("wb") as stream:
            os.dup2(stream.fileno(), 2)
        faulthandler.enable(2, all_threads=False)
        faulthandler.register(signal.SIGTRAP, file=2, all_threads=False, chain=True)
        stage.catch_signals()
        arm(hits)
        flow.function("flow_loop")(5)
        return flow.function("flow_breakpoint")(0)

    status, _ = in_child(work)
    assert os.WTERMSIG(status) == signal.SIGTRAP
    crash = stage.read_crash()
    assert crash is not None and crash.signal == signal.SIGTRAP
    assert function_at(crash.frames[0]) == "flow_breakpoint"
    assert log.read_text().count("most recent call first") == 1
    assert set(hits.take()) >= armed(flow, "flow_loop", 5).blocks
    stage.close()


@pytest.mark.parametrize("number", range(4))
def test_a_program_may_have_breakpoints_of_its_own(flow: Flow, number: int) -> None:
    """It installs handlers, reads them back and gets its own traps, by whichever call; ours never reach it."""
    told = armed(flow, "flow_own_trap", number)
    assert (told.status, told.result) == plain(flow, "flow_own_trap", number)
    assert told.blocks & flow.blocks_of("trap_info") if number != 1 else told.blocks & flow.blocks_of("on_trap")


def test_a_breakpoint_without_any_handler_kills(flow: Flow) -> None:
    plain = stepped(flow, "flow_breakpoint")
    assert os.WTERMSIG(plain.status) == signal.SIGTRAP
    assert armed(flow, "flow_breakpoint").status == plain.status


def test_a_handler_that_python_installs_later_leaves_the_traps_to_us(flow: Flow, hits: Hits, tmp_path: Path) -> None:
    log = tmp_path / "log"

    def work() -> int:
        arm(hits)
        with log.open("wb") as stream:
            faulthandler.register(signal.SIGTRAP, file=stream, all_threads=False, chain=False)
            assert tripwire.holds()
            flow.function("flow_loop")(30)
            assert log.read_bytes() == b""
            flow.function("flow_breakpoint")(0)
            faulthandler.unregister(signal.SIGTRAP)
        assert tripwire.holds()
        signal.signal(signal.SIGTRAP, signal.SIG_IGN)
        os.kill(os.getpid(), signal.SIGTRAP)
        return flow.function("flow_recursion")(6)

    status, _ = in_child(work)
    assert status == 0 and b"most recent call first" in log.read_bytes()
    assert set(hits.take()) >= armed(flow, "flow_loop", 30).blocks | armed(flow, "flow_recursion", 6).blocks


def test_python_may_block_all_signals(flow: Flow, hits: Hits) -> None:
    def work() -> int:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        arm(hits)  # unblocks what it needs
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
        assert signal.SIGTRAP not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
        assert signal.SIGUSR1 in signal.pthread_sigmask(signal.SIG_BLOCK, [])
        return flow.function("flow_threads")(3)

    assert in_child(work)[0] == 0
    assert set(hits.take()) == armed(flow, "flow_threads", 3).blocks


def test_a_mask_set_behind_our_back_kills(flow: Flow) -> None:
    """The limit, and why the guard is there: the kernel ends a thread that has SIGTRAP blocked at its next int3."""
    assert stepped(flow, "flow_blocked", 3).status == 0
    death = armed(flow, "flow_blocked", 3)
    assert os.WTERMSIG(death.status) == signal.SIGTRAP
    assert death.blocks & flow.blocks_of("flow_blocked")


# --- what cannot be armed ---------------------------------------------------------------------------------


def told(space: BlockSpace) -> str:
    """What `arm` answers in a child, in which no block is reported then."""
    hits, answers = Hits(space), os.memfd_create("answer")

    def work() -> int:
        os.write(answers, tripwire.arm(hits.handle).encode())
        return 0

    assert in_child(work) == (0, 0)
    answer = os.pread(answers, 4096, 0).decode()
    os.close(answers)
    hits.close()
    return answer


def one(flow: Flow, **changed: object) -> BlockSpace:
    return BlockSpace((replace(flow.space.libraries[0], **changed),))


def test_a_kernel_without_writable_text_gives_one_line(flow: Flow, hits: Hits, tmp_path: Path) -> None:
    """The kernel's own refusal: PR_SET_MDWE of prctl(2), Linux 6.3, which is what systemd and hardened systems set."""
    answer = tmp_path / "answer"

    def work() -> int:
        if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) != 0:  # PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN
            return 77
        before = flow.code()
        answer.write_text(tripwire.arm(hits.handle))
        assert flow.code() == before and not tripwire.holds()
        return flow.function("flow_loop")(30) * 0

    status, result = in_child(work)
    if result == 77:
        pytest.skip("this kernel has no PR_SET_MDWE (Linux 6.3)")
    assert status == 0 and hits.take() == []
    line = answer.read_text()
    assert line.startswith(
        "no native coverage: this kernel lets no process write to its program text (Permission denied)"
    )
    assert "\n" not in line


def test_libraries_that_cannot_be_armed_are_named_and_the_others_are_armed(flow: Flow) -> None:
    library = flow.space.libraries[0]
    other = replace(library, module="/nowhere/libother.so", count=17)
    hits = Hits(BlockSpace((other, library)))

    def work() -> int:
        assert tripwire.arm(hits.handle) == "less native coverage: libother.so is not loaded"
        return flow.function("flow_loop")(30)

    assert in_child(work)[0] == 0
    assert {n - 17 for n in hits.take()} == armed(flow, "flow_loop", 30).blocks
    hits.close()


@pytest.mark.parametrize("name", ["libc.so.6", "libgcc_s.so.1", "libstdc++.so.6", "ld-linux-x86-64.so.2"])
def test_what_the_handler_needs_is_never_armed(flow: Flow, name: str) -> None:
    maps = Path("/proc/self/maps").read_text().split()
    path = next((word for word in maps if word.startswith("/") and Path(word).name == name), None)
    if path is None:
        pytest.skip(f"{name} is not loaded in the test process")
    assert told(one(flow, module=path)) == f"less native coverage: {name} is what the trap handler itself needs"


def test_the_handlers_own_library_is_never_armed(flow: Flow) -> None:
    path = str(native.library_path())
    assert path in Path("/proc/self/maps").read_text()
    assert told(one(flow, module=path)).endswith("is what the trap handler itself needs")


def test_a_table_that_is_not_of_the_library_is_refused(flow: Flow, tmp_path: Path) -> None:
    library = flow.space.libraries[0]
    assert "is not loaded" in told(one(flow, module=str(tmp_path / "gone.so")))
    assert f"has {library.count} blocks instead of 3" in told(one(flow, count=3))
    assert "No such file" in told(one(flow, table=str(tmp_path / "gone")))
    bad = tmp_path / "bad"
    raw = bytearray(Path(library.table).read_bytes())
    bad.write_bytes(raw[: len(raw) // 2])
    assert "cut off" in told(one(flow, table=str(bad)))
    table = tables.read(library.table)
    at = bytes(raw).index(table.addresses.tobytes())
    raw[at : at + 16] = raw[at + 8 : at + 16] + raw[at : at + 8]
    bad.write_bytes(raw)
    assert "do not ascend" in told(one(flow, table=str(bad)))
    last = at + 8 * (len(table.addresses) - 1)
    raw = bytearray(Path(library.table).read_bytes())
    raw[last : last + 8] = (1 << 30).to_bytes(8, "little")
    bad.write_bytes(raw)
    assert "blocks outside of its code" in told(one(flow, table=str(bad)))


def test_a_library_that_was_replaced_meanwhile_is_refused(flow: Flow, tmp_path: Path) -> None:
    """Its blocks may be elsewhere now, and an int3 in the middle of an instruction would break it."""
    hits = Hits(flow.space)
    times = flow.path.stat()
    os.utime(flow.path, ns=(times.st_atime_ns, times.st_mtime_ns + 1_000_000_000))
    try:
        answer = tmp_path / "answer"
        assert in_child(lambda: answer.write_text(tripwire.arm(hits.handle)) * 0) == (0, 0)
        assert "libflow.so was replaced since its blocks were found; start again" in answer.read_text()
    finally:
        os.utime(flow.path, ns=(times.st_atime_ns, times.st_mtime_ns))
        hits.close()


def test_other_memory_is_refused() -> None:
    memory = os.memfd_create("other")
    for size in (0, 4096):
        os.ftruncate(memory, size)
        assert tripwire.arm(memory) == "no native coverage: the memory is not that of a tripwire of this version"
    os.close(memory)


# --- the owner --------------------------------------------------------------------------------------------


def test_the_owner_needs_the_standard_library_only() -> None:
    code = "import sys; from fuzzer.coverage.tripwire import Hits; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_blocks_that_are_known_are_not_taken() -> None:
    hits = Hits(BlockSpace((Library("litert", "/nowhere", "0" * 16, "/nowhere", 100),)))
    hits._states[3] = hits._states[99] = hits._states[50] = tripwire._HIT
    hits._counters[0] = hits._counters[1] = 3
    hits.know([50])
    assert hits.take() == [3, 99] and hits.take() == []
    with pytest.raises(IndexError):
        hits.know([100])
    hits.close()


def test_taking_nothing_takes_microseconds() -> None:
    hits = Hits(BlockSpace((Library("litert", "/nowhere", "0" * 16, "/nowhere", 1_000_000),)))
    best = 1.0
    for _ in range(100):
        begun = time.perf_counter()
        hits.take()
        best = min(best, time.perf_counter() - begun)
    assert best < 50e-6
    hits.close()
