"""Memory that nobody wrote, as the Python text of a reproducer: fresh interpreters give now this and now that.

No result is right there, so none is expected: every runtime is held against itself, bit by bit.
"""

from __future__ import annotations

from textwrap import indent

from fuzzer.reproducer import run_text
from fuzzer.reproducer.metamorphic_text import LITTER, unlike
from fuzzer.reproducer.plan import Plan

_UNLIKE = '''

def unlike(first, again):
    """Where two runs differ and what is there; None where they are the same, bit by bit."""
    for o, (v, y) in enumerate(zip(first, again)):
        for at in map(tuple, np.argwhere(@unlike@).tolist()):
            return f"result {o} at {at}: first {v[at]}, then {y[at]}"
    return None


def fresh(runtime):
    """What fresh interpreters do not agree about; None where they agree."""
    first = run(runtime)
@litter@
        differ = unlike(first, run(runtime))
        if differ:
            return differ
    return None


flatbuffer = convert()
print("expected: the same bits from every fresh interpreter")
found = {}
for runtime in @runtimes@:
    try:
        found[runtime] = fresh(runtime)
        print(f"{runtime:12} {found[runtime] or 'the same bits 33 times'}")
    except (RuntimeError, ValueError) as error:
        print(f"{runtime:12} fails: {error}")
defect = any(found.values())
print("The defect is there." if defect else "The defect is gone.")
sys.exit(1 if defect else 0 if found else 2)
'''


def unsteady(plan: Plan) -> list[str]:
    """Everything from the interpreter to the exit status."""
    case = plan.case
    text = _UNLIKE.replace("@litter@", indent(LITTER, "    ")).replace("@unlike@", unlike(case))
    runtimes = '[*KERNELS, "litert"]' if plan.litert else "KERNELS"
    return [
        *run_text.kernels(case, plan.litert),
        *run_text.run(case, plan.litert),
        *run_text.fill(text, runtimes=runtimes),
    ]
