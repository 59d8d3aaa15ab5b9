"""What is run next: a guess of what each candidate would discover, from what others like it did.

libFuzzer's schedule counts what an input hits, every time. Native blocks are seen once in a campaign and then never
again, so most of its numbers would be out of date. Making a candidate takes 0.4 ms and running it 80, so dozens are
made, and the most promising for its price is run.
"""

from fuzzer.guidance.guide import Guide
from fuzzer.guidance.options import Guidance

__all__ = ["Guidance", "Guide"]
