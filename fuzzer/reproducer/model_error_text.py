"""Judging a quantised flatbuffer against TensorFlow's own result, as the Python text of a reproducer.

For defects that every kernel shows alike: of the quantiser, of the converter, or of an operator that none gets right.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fuzzer.case import Case
from fuzzer.oracles.verdict import MODEL_ERROR, NOISE, STEP
from fuzzer.reproducer import layout, run_text
from fuzzer.reproducer.judge_text import judged, worst
from fuzzer.reproducer.run_text import fill
from fuzzer.reproducer.truth_text import evaluate, own_dtype

_REAL = '''

def real(output, value):
    """An output in real numbers: an integer q stands for scale * (q - zero point)."""
    interpreter = tf.lite.Interpreter(
        model_content=flatbuffer, experimental_op_resolver_type=KERNELS["tf-builtin"]
    )
@details@
    scale, zero_point = details[output]["quantization"]
    value = value.astype(np.float64)
    return (value - zero_point) * scale if scale else value
'''
_FURTHEST = "Prints what differs most from TensorFlow, in parts of the output's largest value."
_APART = """fine = np.isfinite(y) & np.isfinite(v)
apart = np.where(fine, np.abs(y - v), 0.0) / max(largest[@output@], @step@)"""
_EXPECTED = """expected = [y.astype(np.float64) for inputs in samples for y in evaluate(inputs, @dtype@)]
sizes = [np.abs(np.nan_to_num(y, posinf=0, neginf=0)) for y in expected]
@sizes@
print("Rounding accounts for about @noise@ of the largest value; @error@ was found.")"""
_SIZES = "largest = [max(size.max(initial=0) for size in sizes[o::@count@]) for o in range(@count@)]"
_ONE_SIZE = "largest = [max(size.max(initial=0) for size in sizes)]"


def shown_against_model(evidence: Mapping[str, Any]) -> bool:
    """Whether a verdict says how far the flatbuffer is from the model, and that this is more than rounding."""
    error, noise = evidence.get(MODEL_ERROR), evidence.get(NOISE)
    numbers = isinstance(error, int | float) and isinstance(noise, int | float)
    return bool(numbers and error > 2 * noise)  # type: ignore[operator]


def limit(evidence: Mapping[str, Any]) -> float:
    """From where the defect is there: half way from rounding to what was found, or to all of the largest value.

    More than all of it (1e30 was seen) is memory that nobody wrote: the next run finds other numbers there.
    """
    return float(f"{(min(1.0, float(evidence[MODEL_ERROR])) * float(max(evidence[NOISE], 1e-9))) ** 0.5:.2g}")


def against_model(case: Case, evidence: Mapping[str, Any]) -> list[str]:
    """Everything from `evaluate` to the expected values."""
    made = [f"    {line}" for line in (*run_text.allocate(case), *run_text.details(case))]
    count = len(case.model.outputs)
    error, noise = (f"{float(evidence[key]):.2g}" for key in (MODEL_ERROR, NOISE))
    own = own_dtype(case)
    output = f"o % {count}" if count > 1 else "0"
    each = "o, y in enumerate(outputs)" if count > 1 else "y in outputs"
    judge = worst(case, _FURTHEST, _APART, first=f"outputs = [real({output}, y) for {each}]")
    return [
        *evaluate(case, False),
        *fill(_REAL, details="\n".join(made)),
        *judged(
            judge,
            _EXPECTED.replace("@sizes@", _SIZES if count > 1 else _ONE_SIZE),
            "TensorFlow|actual|difference",
            count=count,
            output=output,
            step=f"{float(evidence.get(STEP, 1e-30)):.3g}",
            dtype=layout.string(own) if own else "None",
            noise=noise,
            error=error,
        ),
    ]
