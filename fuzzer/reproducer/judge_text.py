"""The function `judge` for several samples and outputs, as the Python text of a reproducer.

What an element is measured in differs from one way of judging to the other (`kernel_text`, `truth_text`,
`tolerance_text`, `model_error_text`); going through the outputs and telling of the worst element does not.
"""

from __future__ import annotations

from fuzzer.case import Case
from fuzzer.reproducer.run_text import fill

_WORST = '''

def judge(name, outputs):
    """@what@"""
@first@    worst = (-1.0, 0, ())
    for o, (y, v@each@) in enumerate(zip(outputs, @right@)):
@guard@@measured@
        at = tuple(map(int, np.unravel_index(np.argmax(apart), apart.shape)))
        worst = max(worst, (float(apart[at]), o, at))
    apart, o, at = worst
    want, got = @expected@[o][at], outputs[o][at]
    print(f"{name:12} {want:14.8g} {got:14.8g} {apart:12.4g}   {o}, {at}")
    return apart
'''
_COUNT = '''

def judge(name, outputs):
    """@what@"""
    count, example = 0, ""
    for o, (y, v@each@) in enumerate(zip(outputs, @right@)):
@guard@@odd@
        for at in map(tuple, np.argwhere(odd).tolist()):
            example = example or f"output {o} at {at}: @told@"
            count += 1
    print(f"{name:12} {count} elements @are@   {example}")
    return count
'''
EXPECTED_AND_ACTUAL = "expected {v[at]}, actual {y[at]}"


def worst(
    case: Case,
    what: str,
    measured: str,
    expected: str = "expected",
    beside: tuple[str, str] = ("", ""),
    first: str = "",
) -> str:
    """A `judge` that prints the element that is furthest off, and returns how far.

    `measured` are lines that make `apart` of an output `y` and its `v` of the list `expected`; `beside` is what else
    they need: the name of one, and of the list. `first` is a line before the loop.
    """
    each, right = _zipped(expected, beside)
    text = _WORST.replace("@what@", what).replace("@measured@", _block(measured))
    text = text.replace("@each@", each).replace("@right@", right).replace("@expected@", expected)
    dtypes = {t.dtype for t in case.model.output_types}
    if dtypes & {"string", "bool", "complex64"}:
        text = text.replace("{want:14.8g} {got:14.8g}", "{want!s:>14} {got!s:>14}")
    return text.replace("@guard@", _numbers(case)).replace("@first@", f"    {first}\n" if first else "")


def count(
    case: Case,
    what: str,
    odd: str,
    are: str,
    expected: str = "expected",
    beside: tuple[str, str] = ("", ""),
    told: str = EXPECTED_AND_ACTUAL,
) -> str:
    """A `judge` that counts the elements that are `odd`, and tells of the first; see `worst`."""
    each, right = _zipped(expected, beside)
    text = _COUNT.replace("@what@", what).replace("@odd@", _block(odd)).replace("@are@", are)
    text = text.replace("@each@", each).replace("@right@", right).replace("@told@", told)
    # Magnitudes: a complex infinity less itself is no number.
    return text.replace("@guard@", _numbers(case, "abs(y), abs(v)"))


def _zipped(expected: str, beside: tuple[str, str]) -> tuple[str, str]:
    one, all_ = beside
    return (f", {one}", f"{expected}, {all_}") if one else ("", expected)


def _block(lines: str) -> str:
    return "\n".join(f"        {line}" for line in lines.splitlines())


def _numbers(case: Case, of_complex: str = "abs(v) + abs(y - v), abs(v)") -> str:
    """What makes outputs numbers that compare; most cases need none."""
    types = case.model.output_types
    dtypes = {t.dtype for t in types}
    text = "" if all(t.elements for t in types) else "        if not y.size:\n            continue\n"
    if "string" in dtypes:
        text += "        if y.dtype == object:\n            y, v = np.where(y == v, 1.0, 0.0), np.ones(v.shape)\n"
    if "complex64" in dtypes:
        text += f'        if y.dtype.kind == "c":\n            y, v = {of_complex}\n'
    return text


def judged(judge: str, begun: str, head: str = "", **values: object) -> list[str]:
    """A `judge`, then the conversion, the lines `begun` that make what is expected, and the table's `head`."""
    text = f"{judge}\n\nflatbuffer = convert()\n{begun}\n"
    if head:
        expected, actual, apart = head.split("|")
        text += f"""print(f"{{'':12}} {{'{expected}':>14}} {{'{actual}':>14}} {{'{apart}':>12}}   result, index")\n"""
    return fill(text, **values)
