"""What a flatbuffer gives in real numbers, and how far the rounding of its constants moves that."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fuzzer.build import Array
from fuzzer.execute.record import RuntimeRun
from fuzzer.execute.runtimes import feed
from fuzzer.oracles.confirm.twin import Twin
from fuzzer.oracles.divergence import real_pair

SEEDS = 8
"""Runs with random rounding: noise that all of them miss at an element is met by a quarter of the mean."""
WEIGHT_STEPS = 0.5
"""Constants are rounded to the nearest step (TFLite 8-bit quantisation specification)."""
HALF_ROUNDING, HALF_TINY, HALF_LARGEST = 2.0**-11, 2.0**-25, 65504.0
"""The largest relative error of a float16, its largest error among denormals, and the largest one (IEEE 754)."""
SURE_SEEDS = 64
"""Runs before anybody is accused, every constant moved by all of its largest error one way or the other. An activation
that clamps hides small moves: of 8 random ones each may leave an element at zero that the rounding took below it."""
BEYOND_FACTOR = 8.0
"""What lies outside of a range must do so by this many times what rounded constants move it."""

Real = NDArray[np.float64]


@dataclass(frozen=True)
class Prediction:
    """What the flatbuffer gives for one sample in real numbers, per output."""

    values: list[Array]
    noise: list[Real]
    """How far the rounding of the constants moves each element."""
    beyond: dict[int, float]
    """Tensors whose values lie outside of what they can hold: by which share of their range at most."""


def predict(run: RuntimeRun, twin: Twin, sample: list[Array], seeds: int = SEEDS, furthest: bool = False) -> Prediction:
    """The twin's results for a sample and their noise, measured `seeds` times, with the `furthest` moves when asked.

    Raises `NoTwinError` where an operator has no float kernel.
    """
    feeds = feeds_of(run, sample)
    outputs = [slot.index for slot in run.outputs]
    beyond: dict[int, float] = {}

    def look(index: int, value: Array) -> Array:
        nonlocal beyond
        grid = twin.grids.get(index)
        if grid is not None and value.dtype.kind == "f" and value.size:
            beyond[index] = float(grid.beyond(value).max()) / (grid.highest - grid.lowest)
        return value

    plain = twin.run(feeds, look)
    values = [plain[i] for i in outputs]
    noise: list[Real] = [np.zeros(v.shape) for v in values]
    seen, least = beyond, dict(beyond)
    for seed in range(seeds):
        beyond = {}
        moved = twin.run(feeds, look, _moved_constants(twin, np.random.RandomState(seed), furthest))
        _widen(noise, values, [moved[i] for i in outputs])
        least = {i: min(share, beyond.get(i, 0.0)) for i, share in least.items()}
    # What rounded weights make may lie outside by chance: as far as it moves, it is not calibration's.
    sure = {i: share - BEYOND_FACTOR * (share - least[i]) for i, share in seen.items()}
    return Prediction(values, [_filled(n) for n in noise], sure)


def feeds_of(run: RuntimeRun, sample: list[Array]) -> dict[int, Array]:
    """A sample as real inputs of a twin, by tensor index."""
    return dict(feed([replace(slot, scale=0.0) for slot in run.inputs], sample))


def noisy(twin: Twin, feeds: dict[int, Array]) -> tuple[dict[int, Array], dict[int, Real]]:
    """Every tensor of a twin, and how far each moves with the rounding of the constants."""
    plain = twin.run(feeds)
    noise: dict[int, Real] = {i: np.zeros(v.shape) for i, v in plain.items() if v.dtype.kind == "f"}
    for seed in range(SEEDS):
        moved = twin.run(feeds, None, _moved_constants(twin, np.random.RandomState(seed)))
        for index, before in noise.items():
            if moved[index].shape == before.shape:
                with np.errstate(all="ignore"):
                    apart = np.abs(moved[index].astype(np.float64) - plain[index].astype(np.float64))
                noise[index] = np.fmax(before, np.nan_to_num(apart, nan=np.inf))
    return plain, {index: _filled(before) for index, before in noise.items()}


def _moved_constants(twin: Twin, random: np.random.RandomState, furthest: bool = False) -> dict[int, Array]:
    """The constants, each moved by up to the largest error of its rounding, or by all of it."""

    def moved(index: int, value: Array) -> Array:
        grid = twin.grids.get(index)
        by: NDArray[np.float64] = np.asarray(random.uniform(-1.0, 1.0, value.shape))
        by = np.sign(by) if furthest else by
        if grid is not None:
            shifted: Array = (value.astype(np.float64) + grid.step * WEIGHT_STEPS * by).astype(np.float32)
            return shifted
        if index in twin.halves:
            scaled: Array = (value.astype(np.float64) * (1.0 + HALF_ROUNDING * by) + HALF_TINY * by).astype(np.float32)
            return scaled
        return value

    return {index: moved(index, value) for index, value in twin.constants.items()}


def _widen(noise: list[Real], values: list[Array], moved: list[Array]) -> None:
    for o, (before, after) in enumerate(zip(values, moved, strict=True)):
        if before.shape == after.shape:
            left, right = real_pair(after, before)
            with np.errstate(all="ignore"):
                apart = np.nan_to_num(np.abs(left - right), nan=np.inf)
            # A bool, an integer or a string that moves is nobody's.
            noise[o] = np.fmax(noise[o], apart if before.dtype.kind == "f" else np.where(apart > 0, np.inf, 0.0))


def _filled(noise: Real) -> Real:
    """Elements whose few moves happened to cancel are served by a quarter of the mean."""
    finite = noise[np.isfinite(noise)]
    return np.maximum(noise, 0.25 * float(finite.mean())) if finite.size else noise
