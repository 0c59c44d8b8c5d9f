"""Six metrics of fidelity and coverage on sets with known damage: a table in Markdown.

    python benchmarks/fidelity_coverage.py

Real rows come from a mixture of ten Gaussians in 32 dimensions, so the right answer of every row is known. Takes about
half a minute on one core.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from facebench.metrics import clipped_density_coverage, density_coverage, precision_recall

MODES, WIDTH, ROWS = 10, 32, 2000
CLOSE = 0.05
Sets = tuple[np.ndarray, np.ndarray]


def real(rng: np.random.Generator, n: int, modes: int = MODES) -> np.ndarray:
    """Draw rows of the first `modes` modes; the centres are the same for every seed."""
    centres = 6 * np.random.default_rng(2026).standard_normal((MODES, WIDTH))
    return centres[rng.integers(modes, size=n)] + rng.standard_normal((n, WIDTH))


def nothing(rng: np.random.Generator) -> Sets:
    return real(rng, ROWS), real(rng, ROWS)


def bad_rows(share: float) -> Callable[[np.random.Generator], Sets]:
    def damage(rng: np.random.Generator) -> Sets:
        generated, reference = nothing(rng)
        generated[: round(share * ROWS)] += 100.0
        return generated, reference

    return damage


def outlying_reference(rng: np.random.Generator) -> Sets:
    """All generated rows are bad, and 2 % of the reference rows are outliers with large balls."""
    _, reference = nothing(rng)
    reference[: ROWS // 50] = 100 * rng.standard_normal((ROWS // 50, WIDTH))
    return 50 + rng.standard_normal((ROWS, WIDTH)), reference


def dropped_modes(rng: np.random.Generator) -> Sets:
    return real(rng, ROWS, MODES // 2), real(rng, ROWS)


def few_faces(rng: np.random.Generator) -> Sets:
    """Ten good rows, each repeated."""
    return np.repeat(real(rng, 10), ROWS // 10, axis=0), real(rng, ROWS)


def copies(rng: np.random.Generator) -> Sets:
    _, reference = nothing(rng)
    return reference.copy(), reference


def unequal(n: int) -> Callable[[np.random.Generator], Sets]:
    return lambda rng: (real(rng, n), real(rng, ROWS))


DAMAGES: tuple[tuple[str, Callable[[np.random.Generator], Sets], float, float], ...] = (
    ("none", nothing, 1.0, 1.0),
    ("20 % bad rows", bad_rows(0.2), 0.8, 0.8),
    ("50 % bad rows", bad_rows(0.5), 0.5, 0.5),
    ("all rows bad, 2 % of the reference are outliers", outlying_reference, 0.0, 0.0),
    ("5 of 10 modes dropped", dropped_modes, 1.0, 0.5),
    ("10 rows, each 200 times", few_faces, 1.0, 0.0),
    ("copies of the reference", copies, 1.0, 1.0),
    ("none, 500 generated rows", unequal(500), 1.0, 1.0),
    ("none, 8,000 generated rows", unequal(8000), 1.0, 1.0),
)
"""Damage, how it is made, and the right fidelity and coverage."""


def measure(generated: np.ndarray, reference: np.ndarray) -> tuple[list[float], list[float]]:
    """Return three numbers of fidelity and three of coverage."""
    ball = precision_recall(generated, reference, k=3)
    counts = density_coverage(generated, reference, k=5)
    clipped = clipped_density_coverage(generated, reference, k=5)
    fidelity = [ball.precision, counts.density, clipped.density]
    return fidelity, [ball.recall, counts.coverage, clipped.coverage]


def cell(value: float, right: float) -> str:
    return f"**{value:.2f}**" if abs(value - right) <= CLOSE else f"{value:.2f}"


def main() -> None:
    print("| damage | right | precision | density | clipped d. | right | recall | coverage | clipped c. |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, damage, right_fidelity, right_coverage in DAMAGES:
        fidelity, coverage = measure(*damage(np.random.default_rng(0)))
        cells = [f"{right_fidelity:.1f}", *(cell(value, right_fidelity) for value in fidelity)]
        cells += [f"{right_coverage:.1f}", *(cell(value, right_coverage) for value in coverage)]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
