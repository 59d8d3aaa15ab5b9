"""Takes out of a text what tells of the machine it was made on: paths, the user's name, the host's name.

Paths inside Python packages stay as far as upstream knows them (`tensorflow/python/...:283`), of any other absolute
path the last name stays.
"""

from __future__ import annotations

import getpass
import re
import socket
from functools import cache

_PATH = re.compile(r"(?<![\w.:/<>\-])(?:file://)?/(?:[\w.+@~,=#%\-]+/)+[\w.+@~,=#%\-]*")
"""An absolute path of two names or more. `tensor/a` and `https://a/b` do not begin with a slash of their own; a colon,
as in the device `/job:localhost/replica:0`, is no part of one."""
_OWNED = re.compile(r"(?<![\w.:])(?:file://)?/(?:home|Users)/(?:[\w.-]+(?: [A-Z][\w.-]*){0,2}/|[\w.-]+)")
"""The folder of a user, who may have a blank in the name."""
_PACKAGES = re.compile(r".*/(?:site-packages|dist-packages)/")
_LIBRARY = re.compile(r".*/lib(?:64)?/python\d[\w.]*/")
_WINDOWS = re.compile(r"\b[A-Za-z]:\\(?:[^\s\\:*?\"<>|]+\\)+")
_HOME = re.compile(r"~[\w.-]*/")
_COMMON = frozenset({"root", "user", "users", "admin", "runner", "localhost", "test", "tests", "ubuntu", "debian"})
"""Names that tell nothing of anybody, and are words of other texts."""
_MIN_NAME = 3
"""Shorter names are parts of too many words."""


def scrub(text: str) -> str:
    """`text` without paths of this machine and the names of its user and host."""
    shown = without_paths(text)
    names = _names()
    return names.sub("<name>", shown) if names is not None else shown


def without_paths(text: str) -> str:
    """`text` with every absolute path cut to what it means elsewhere."""
    if "/" not in text and "\\" not in text:
        return text
    rooted = _OWNED.sub(_anonymous, text)
    return _HOME.sub("", _WINDOWS.sub("", _PATH.sub(_shortened, rooted)))


def _anonymous(found: re.Match[str]) -> str:
    """A folder of nobody's instead, which goes the way of all paths; `~` where the path ends there."""
    return "/home/" if found[0].endswith("/") else "~"


def _shortened(found: re.Match[str]) -> str:
    path = found[0]
    for prefix in (_PACKAGES, _LIBRARY):
        begun = prefix.match(path)  # not searched for from every place: that takes the square of a long path
        if begun is not None:
            return path[begun.end() :]
    return path.rstrip("/").rpartition("/")[2]


@cache
def _names() -> re.Pattern[str] | None:
    """The words to take out; None where there are none."""
    found: set[str] = set()
    try:
        found.add(getpass.getuser())
    except (OSError, KeyError):
        found.discard("")  # a container's user need not have a name
    host = socket.gethostname()
    found |= {host, host.partition(".")[0]}
    names = sorted((n for n in found if len(n) >= _MIN_NAME and n.lower() not in _COMMON), key=len, reverse=True)
    return re.compile(r"(?<![\w-])(?:" + "|".join(map(re.escape, names)) + r")(?![\w-])") if names else None
