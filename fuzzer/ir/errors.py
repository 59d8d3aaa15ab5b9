"""What the executor of the intermediate representation says when it cannot run something."""


class NotEvaluableError(Exception):
    """An operation that is not known here, or that failed; the message names it and says why."""
