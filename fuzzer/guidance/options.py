"""How a campaign is guided. The defaults are what `scripts/bench coverage` found best."""

from __future__ import annotations

from dataclasses import dataclass

FEEDBACK = ("native", "features", "none")
"""What counts as a discovery: native blocks and features, features alone, or nothing at all."""
PARENTS = ("energy", "uniform", "libfuzzer")
"""Who chooses what is mutated: discoveries by second of its offspring, chance, or libFuzzer."""


@dataclass(frozen=True)
class Guidance:
    """Everything that can be switched off, for comparison."""

    feedback: str = "native"
    parents: str = "energy"
    candidates: int = 32
    """Cases made for each one that is run; 1 takes them as they come."""
    fresh: float = 0.5
    """Share of candidates that are fresh; the others are mutants."""
    blocks: bool = True
    """Whether native blocks guide; without, they are only counted."""
    features: bool = True
    """Whether features guide; without, they are only counted."""
    watch: bool = False
    """Counts native blocks whatever the feedback: for comparison."""

    @property
    def guided(self) -> bool:
        """Whether anything counts as a discovery."""
        return self.feedback != "none"

    @property
    def counts_features(self) -> bool:
        """Whether a new feature is a discovery."""
        return self.guided and self.features

    @property
    def counts_blocks(self) -> bool:
        """Whether a new native block is one."""
        return self.feedback == "native" and self.blocks

    @classmethod
    def by(cls, feedback: str) -> Guidance:
        """What `--coverage` asks for. Without feedback nothing is learnt, so cases are run as they come."""
        if feedback == "none":
            return cls(feedback, parents="uniform", candidates=1)
        return cls(feedback)
