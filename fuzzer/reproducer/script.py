"""Reproducers: a finding as about one page of Python that needs TensorFlow and NumPy, and nothing of ours.

The script prints what was expected and what came, exits 1 while the defect is there, 0 when it is gone, and 2
when it cannot tell. Code of ops comes from the ops' own source (`fuzzer.reproducer.source`), numbers from the
recipes (`fuzzer.reproducer.tensors`); titles and messages, which a case may have shaped, enter escaped only.
"""

from __future__ import annotations

import ast
import threading
from collections.abc import Sequence

from fuzzer.case import Case
from fuzzer.oracles.confirm.truth import FACTOR
from fuzzer.oracles.verdict import Kind, Stage, Verdict
from fuzzer.reproducer import death_text, error_text, layout, metamorphic_text, plain_text, rewrite_text, run_text
from fuzzer.reproducer.kernel_text import LIMITS, between_kernels
from fuzzer.reproducer.model_error_text import against_model, limit
from fuzzer.reproducer.model_text import ModelText, convert
from fuzzer.reproducer.plan import ERRORS, SIGNATURE, Plan
from fuzzer.reproducer.road_text import decorated
from fuzzer.reproducer.tensors import Tensors, samples, weights
from fuzzer.reproducer.tidy import tidy
from fuzzer.reproducer.tolerance_text import by_tolerance
from fuzzer.reproducer.training_text import tfmot_imports
from fuzzer.reproducer.truth_text import against_truth
from fuzzer.reproducer.unsteady_text import unsteady

_ONE_AT_A_TIME = threading.Lock()
"""CPython counts the depth of syntax trees per interpreter, not per thread: two that parse at once make it raise
"SystemError: AST constructor recursion depth mismatch" (seen with 3.11.7; python/cpython issue 106905)."""
_STANDARD = ("os", "re", "resource", "signal", "subprocess", "tempfile")
"""Modules of the standard library that a script imports when its text names them."""
_HOOK = '''

def cannot_tell(*error):
    """Any error but the defect is no answer."""
    sys.__excepthook__(*error)
    sys.exit(2)


sys.excepthook = cannot_tell'''.splitlines()


def reproducer(case: Case, verdict: Verdict, title: str, versions: str) -> str:
    """The text of `repro.py` for a finding. `title` and `versions` are shown in its docstring.

    Safe for use by several threads; one writes at a time.
    """
    with _ONE_AT_A_TIME:
        plan = Plan(case, verdict)
        told = _docstring(title, versions, rewrite_text.sentence(verdict))
        return tidy("\n".join([*told, *_page(plan)]) + "\n")


def _docstring(title: str, versions: str, more_told: str) -> list[str]:
    first, *more = layout.prose(title)
    return [
        f'"""{first}',
        *more,
        "",
        *(layout.prose(more_told) if more_told else []),
        *layout.prose(f"Found with {versions}."),
        "Exits 1 while the defect is there, 0 when it is gone, 2 when it cannot tell.",
        '"""',
    ]


def _page(plan: Plan) -> list[str]:
    """All lines after the docstring."""
    made = Tensors()
    weights(plan.case, made)
    rows = samples(plan.case, made) if plan.samples_needed else []
    used = [*_model(plan), *_conversion(plan), *_judging(plan)]
    third = ["", *_third_party(plan)]
    # The hook stands before the libraries: that one is missing is no answer either.
    first = [*_HOOK, *(death_text.parent(plan) if plan.dies else death_text.watcher() if plan.watched else [])]
    body = [
        *_versions(plan, third),
        *(["", *made.helpers] if made.helpers else []),
        "",
        *made.lines,
        *(_sample_lines(plan.case, rows, used) if rows else []),
        *used,
    ]
    return [*_standard(plan, [*first, *body]), *first, *third, *body]


# --- what is imported -------------------------------------------------------------------------------------


def _standard(plan: Plan, text: Sequence[str]) -> list[str]:
    """The imports from the standard library: what the text names."""
    names = _names(text)
    modules = {"sys", *(m for m in _STANDARD if m in names)}
    if plan.litert:
        modules.add("importlib.metadata")
    return ["", *(f"import {m}" for m in sorted(modules))]


def _names(lines: Sequence[str]) -> set[str]:
    return {n.id for n in ast.walk(ast.parse("\n".join(lines))) if isinstance(n, ast.Name)}


def _third_party(plan: Plan) -> list[str]:
    legacy = plan.keras and plan.case.conversion.entry == "legacy_keras"
    relation = metamorphic_text.imports(plan.case, plan.verdict) if plan.relates else []
    return [
        "",
        "import numpy as np",
        "import tensorflow as tf",
        *(["from ai_edge_litert.interpreter import Interpreter as LiteRtInterpreter"] if plan.litert else []),
        *relation,
        *(["import tf_keras", *tfmot_imports(plan.case)] if legacy else []),
    ]


def _versions(plan: Plan, third: Sequence[str]) -> list[str]:
    """The versions, and what is set before anything runs."""
    lines = ["", 'print("tensorflow", tf.__version__, "numpy", np.__version__, flush=True)']
    if plan.litert:
        lines.append('print("ai-edge-litert", importlib.metadata.version("ai-edge-litert"))')
    if "import tf_keras" in third:
        lines.append('print("tf-keras", tf_keras.__version__)')
    if plan.compares:
        lines.append('np.seterr(all="ignore")')
    if plan.evaluated:
        # A graphics card may round otherwise (TensorFloat-32), and is not what is compared.
        lines.append('tf.config.set_visible_devices([], "GPU")')
    return lines


# --- the model, its conversion, what is wrong -------------------------------------------------------------


def _model(plan: Plan) -> list[str]:
    lines: list[str] = []
    if not plan.keras or plan.evaluated:
        converted = not plan.keras and plan.reach is not Stage.REFERENCE
        traced = converted and decorated(plan.case, plan.as_arguments)
        lines += ModelText(plan.case, plan.as_arguments, plan.tracked, traced).function()
    if plan.keras:
        lines += ModelText(plan.case).keras()
    return lines


def _conversion(plan: Plan) -> list[str]:
    if plan.reach is Stage.REFERENCE:
        return []
    guard = death_text.guard(plan) if plan.reach is Stage.CONVERT else []
    return convert(plan.case, plan.as_arguments, guard, build_only=plan.reach is Stage.BUILD)


def _judging(plan: Plan) -> list[str]:
    """What happens to the flatbuffer, and what is said of it."""
    kind = plan.verdict.kind
    if plan.dies:
        return death_text.child(plan)
    if plan.relates:
        shown = metamorphic_text.functions(plan.case, plan.verdict, plan.guilty[0])
        return [*shown, *metamorphic_text.judging(plan.case, plan.verdict)]
    if plan.verdict.unsteady:
        return unsteady(plan)
    if kind in ERRORS:
        return error_text.error(plan)
    if kind in SIGNATURE:
        return error_text.signature(plan)
    if kind is Kind.CALIBRATION and not plan.modelled:
        return error_text.scales()
    return _compared(plan)


def _compared(plan: Plan) -> list[str]:
    """Outputs element by element: against the truth, the model, or other kernels."""
    case = plan.case
    if plan.tolerance is not None:
        return by_tolerance(plan, plan.tolerance)
    if plan.truth:
        bar = plan.element.tolerance if plan.element is not None else FACTOR
    else:
        bar = limit(plan.verdict.evidence) if plan.modelled else LIMITS.get(case.conversion.judged, 0.0)
    bar = 0.0 if plan.verdict.kind is Kind.NAN_PROPAGATION else bar
    kernels = run_text.kernels(case, plan.litert)
    # Whichever kernels are furthest from the model itself show what the converter did to it.
    answer = run_text.answer(plan.shown, plan.shown if plan.modelled and not plan.truth else plan.guilty, bar)
    if plan.short:
        real = plan.modelled and not plan.truth
        output = plan.element.output if plan.element is not None else 0
        return [*kernels, *run_text.run_once(case, plan.litert, real, output), *plain_text.judging(plan), *answer]
    if plan.truth:
        body = against_truth(case, plan.verdict, plan.tracked)
    elif plan.modelled:
        body = against_model(case, plan.verdict.evidence)
    else:
        body = between_kernels(case, plan.verdict, plan.guilty)
    return [*kernels, *run_text.run(case, plan.litert), *body, *answer]


def _sample_lines(case: Case, rows: Sequence[Sequence[str]], text: Sequence[str]) -> list[str]:
    """The list of samples; a single one's inputs have names, and are listed only where the text needs that."""
    if not run_text.alone(case):
        return layout.assign("samples", f"[{', '.join('[' + ', '.join(row) + ']' for row in rows)}]")
    names = _names(text)
    lines = run_text.inputs_listed(case) if "inputs" in names else []
    return [*lines, *([f"samples = [{run_text.given(case)}]"] if "samples" in names else [])]
