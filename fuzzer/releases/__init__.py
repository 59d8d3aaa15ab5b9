"""Other releases of TensorFlow and LiteRT: which there are, an environment for each, and which of them show a finding.

Nothing of this project is installed there: only `repro.py` runs, in a process of its own.
"""

from fuzzer.releases.bisection import Bisection, Step, bisect
from fuzzer.releases.search import Answer, Boundaries

__all__ = ["Answer", "Bisection", "Boundaries", "Step", "bisect"]
