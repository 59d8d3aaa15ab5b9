"""What kills a process or never ends, as the Python text of a reproducer: the script starts itself once more.

The first process watches and tells; the second one converts or runs the model, and dies of it.
"""

from __future__ import annotations

import re

from fuzzer.oracles.verdict import Kind, Stage
from fuzzer.reproducer import metamorphic_text
from fuzzer.reproducer.error_text import NAMES, to_interpreter
from fuzzer.reproducer.plan import Plan
from fuzzer.reproducer.road_text import reference_call
from fuzzer.reproducer.run_text import alone, fill

_CPU_S = 5
_DEADLOCK_S = 120
_DOES = {
    Stage.BUILD: "TensorFlow builds the model",
    Stage.REFERENCE: "TensorFlow runs the model",
    Stage.CONVERT: "the converter converts the model",
    Stage.ALLOCATE: "@runtime@ prepares the model",
    Stage.INVOKE: "@runtime@ runs the model",
    Stage.COMPARE: "@runtime@ runs the model",
    Stage.METAMORPHIC: "@runtime@ runs the model",
}
"""What should have come to its end, by the stage that did not."""
_PARENT = """
if "--child" not in sys.argv:  # a process of its own, for it may @die@
    command = [sys.executable, "-X", "faulthandler", __file__, "--child"]
    try:
        status = subprocess.run(command, timeout=@timeout@).returncode
    except subprocess.TimeoutExpired:
        status = None
"""
_HANG = """hung = status in (None, -signal.SIGPROF)
print("expected: @does@")
print("          within @cpu@ s of CPU time")
print("actual:  ", "no end in that time" if hung else f"exit status {status}")
print("The defect is there." if hung else "It did not hang.")
sys.exit(1 if hung else 0 if status == 0 else 2)"""
_MEMORY = """exhausted = status in (None, 3) or status < 0
print("expected: @does@")
print("          within @memory@ MB of memory")
print("actual:  ", "more was asked for" if exhausted else f"exit status {status}")
print("The defect is there." if exhausted else "It did not run out of memory.")
sys.exit(1 if exhausted else 0 if status == 0 else 2)"""
_CRASH = """crashed = @test@
print("expected: @does@")
died = status is not None and status < 0
print("actual:  ", signal.Signals(-status).name if died else f"exit status {status}")
print("The defect is there." if crashed else "It did not crash.")
sys.exit(1 if crashed else 0 if status == 0 else 2)"""
_EITHER = """if status is not None and status < 0:
    print("actual:  ", signal.Signals(-status).name)
    print("The defect is there.")
sys.exit(2 if status is None else 1 if status < 0 else status)"""
"""What else is said, the second process has said."""
_LIMITED = """with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
limit = used + @memory@ * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))"""
_ONE_THREAD = ("tf.config.threading.set_intra_op_parallelism_threads(1)",)


def parent(plan: Plan) -> list[str]:
    """The part that starts this script once more and watches it die."""
    kind = plan.verdict.kind
    judged = {Kind.HANG: _HANG, Kind.OUT_OF_MEMORY: _MEMORY}.get(kind, _CRASH)
    die = {Kind.HANG: "not end", Kind.OUT_OF_MEMORY: "run out of memory"}.get(kind, "crash")
    does = _DOES[plan.reach].replace("@runtime@", NAMES.get(plan.guilty[0], plan.guilty[0]))
    lines = fill(judged, does=does, cpu=_cpu_s(plan), memory=_memory_mb(plan), test=_test(plan))
    return [*fill(_PARENT, timeout=_DEADLOCK_S, die=die), *(f"    {line}" for line in lines)]


def watcher() -> list[str]:
    """The part that starts this script once more, where an error is told or the process dies."""
    lines = fill(_PARENT.replace('"-X"', '"-u", "-X"'), timeout=_DEADLOCK_S, die="crash")
    return [*lines, *(f"    {line}" for line in fill(_EITHER))]


def _test(plan: Plan) -> str:
    """What a crash is told by: a signal, or an exit status of its own."""
    ended = re.fullmatch(r"exit (\d{1,3})", str(plan.verdict.evidence.get("signal", "")))
    code = int(ended.group(1)) if ended else 0
    return f"status == {code}" if code not in (0, 2) else "status is not None and status < 0"


def _cpu_s(plan: Plan) -> int:
    return max(1, min(_CPU_S, int(plan.verdict.severity or _CPU_S)))


def _memory_mb(plan: Plan) -> int:
    return max(512, min(3000, int(0.7 * plan.verdict.severity)))


def guard(plan: Plan) -> list[str]:
    """Lines right before the guilty stage that turn a hang or a flood of memory into a death."""
    if plan.verdict.kind is Kind.HANG:
        return [f"signal.setitimer(signal.ITIMER_PROF, {_cpu_s(plan)})  # seconds of CPU time, then SIGPROF"]
    return fill(_LIMITED, memory=_memory_mb(plan)) if plan.verdict.kind is Kind.OUT_OF_MEMORY else []


def child(plan: Plan) -> list[str]:
    """The part that dies."""
    body = _dying(plan)
    if plan.verdict.kind is Kind.OUT_OF_MEMORY:
        refused = ["except (MemoryError, tf.errors.ResourceExhaustedError) as error:", "    print(error, flush=True)"]
        body = ["try:", *(f"    {line}" for line in body), *refused, "    os._exit(3)"]
    functions = metamorphic_text.functions(plan.case, plan.verdict, plan.guilty[0]) if plan.relates else []
    # What dies on its way out has not died of the model.
    return [*functions, "", "", *body, 'print("It came through.", flush=True)', "os._exit(0)"]


def _dying(plan: Plan) -> list[str]:
    before = guard(plan)
    if plan.reach is Stage.REFERENCE:
        call = reference_call(plan.case)
        return [*_ONE_THREAD, *before, *([call] if alone(plan.case) else ["for inputs in samples:", f"    {call}"])]
    if plan.reach is Stage.BUILD:
        return [*_ONE_THREAD, *before, "convert()"]
    if plan.reach is Stage.CONVERT:
        return ["convert()"]
    if plan.relates:
        return ["flatbuffer = convert()", *before, "changed(flatbuffer)"]
    return ["flatbuffer = convert()", *to_interpreter(plan, plan.reach is not Stage.ALLOCATE, before)]
