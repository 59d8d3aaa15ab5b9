"""The two families of errors, and the sentence a user meets.

`GenerateAnother` is a normal event: the case at hand cannot be, take another one. Everything else that
escapes is a bug of ours and is never swallowed. A finding is neither: findings are data.
"""

import reprlib


class GenerateAnother(Exception):
    """A constraint does not hold: the caller draws another value, node or case."""


class UnfitError(GenerateAnother):
    """An op refuses the operands or attributes it is offered; the message says which rule failed."""


class CaseError(GenerateAnother):
    """Bytes or values that are no valid case.

    `field` is the dotted path of the culprit (`model.nodes[2].attrs.strides`), `expected` what would
    have been accepted and `found` a short rendering of what was there.
    """

    def __init__(self, field: str, expected: str, found: object = None) -> None:
        shown = reprlib.repr(found)  # bounded in depth and length: what was found may be hostile
        super().__init__(f"{field or 'case'}: expected {expected}, found {shown}")
        self.field = field
        self.expected = expected


class UserError(Exception):
    """What a person meets on the command line: what is wrong, what was kept, and what to do."""
