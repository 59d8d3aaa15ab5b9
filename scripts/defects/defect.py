"""What an injected defect is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fuzzer.case import Case
    from scripts.defects.endings import Ending
    from scripts.defects.flat import Edited
    from scripts.defects.stepped import Site

Edit = Callable[["Edited", Any, "Case | None"], bool]
"""Changes one operator of a flatbuffer in place; whether there was anything to change."""
Tamper = Callable[["Site", list[Any], list[Any]], list[Any]]
"""From an operator's operands (None: absent) and results, the wrong results."""
Condition = Callable[["Edited", Any, "Case"], bool]
"""Whether an operator of a flatbuffer is one that a defect shows on."""

XNNPACK = ("tf-xnnpack", "litert")
OPTIMISED = ("tf-builtin",)
SHARED = ("tf-xnnpack", "tf-builtin", "litert")
"""An optimised kernel that XNNPACK leaves alone: three runtimes run it."""
REFERENCE = ("tf-reference",)
ONE_RELEASE = ("litert",)
"""One package only: a regression of its release."""
EVERY = (*SHARED, *REFERENCE)


class Party(StrEnum):
    """Who is guilty."""

    CONVERTER = "converter"
    KERNEL = "kernel"
    RUNTIME = "runtime"
    """The interpreter around the kernels: memory, state, threads. No operator is to blame."""


@dataclass(frozen=True)
class Defect:
    """One kind of defect under one scheme.

    `operator` is the guilty builtin operator (`A|B` where several are), `kinds` the kernels that have the defect
    (`float32`, `int8`, `int16`, `hybrid`, ...; empty: all). `draw` names the ops and patterns that cases are generated
    from. Exactly one of `edit`, `tamper` and `ending` is set. `when` says which of the operators it shows on (none
    given: all).
    """

    kind: str
    scheme: str
    party: Party
    operator: str
    draw: tuple[str, ...]
    runtimes: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    edit: Edit | None = None
    tamper: Tamper | None = None
    threads: int = 1
    control: bool = False
    """Nothing that anybody would call a defect: confirming it would be a false alarm."""
    ending: Ending | None = None
    when: Condition | None = None

    @property
    def name(self) -> str:
        """Unique; what a request calls it."""
        return f"{self.kind}: {self.operator} [{self.scheme}{' ' + '+'.join(self.runtimes) if self.runtimes else ''}]"

    @property
    def wanted(self) -> tuple[str, ...]:
        """How a right verdict may call the guilty kernels."""
        return {
            (): ("converter",),
            XNNPACK: ("XNNPACK",),
            OPTIMISED: ("optimised", "tf-builtin"),
            SHARED: ("optimised", "tf-builtin", "litert+optimised+tf-xnnpack"),
            REFERENCE: ("reference", "tf-reference"),
            ONE_RELEASE: ("litert",),
            EVERY: ("every kernel", "every runtime"),
        }[self.runtimes]
