"""Claims about what SAEs find."""

from __future__ import annotations

import math
from collections.abc import Sequence

from experiments.composed_features.claims_data import share
from experiments.composed_features.config import StudyConfig
from experiments.composed_features.runs import ONE_HOT_LAW
from experiments.composed_features.selection import cells, reference, width_runs
from toysae.metrics.chance import prob_max_cosine_above
from toysae.metrics.uncertainty import Interval, seed_interval, sign_flip_test
from toysae.results.files import Row
from toysae.results.findings import Finding, at_least, at_most, finding, mean_at_least
from toysae.results.measurements import OUTCOME_DEGREES, RECOVERED_COSINE
from toysae.results.rows import interval_over_seeds, per_seed, select, share_over_seeds


def control(study: StudyConfig, runs: Sequence[Row]) -> list[Finding]:
    """Whether a protocol finds features that nothing hides."""
    found = []
    for protocol, settings in study.protocols.items():
        for geometry in settings.geometries:
            rows = reference(study, runs, protocol, geometry, law=ONE_HOT_LAW, one_hot=1)
            found.append(
                finding(
                    f"Positive control: the {protocol} protocol finds the true features of one-hot "
                    f"data ({geometry})",
                    "our control; A shows none",
                    f"features with a latent at cosine above {RECOVERED_COSINE}, reference cell",
                    share_over_seeds(rows, "recovered"),
                    mean_at_least(0.95),
                    null=_recovered_by_chance(rows),
                    note=f"{len(rows)} seeds; all features found in "
                    f"{sum(row['recovered'] == 1 for row in rows)}",
                )
            )
    return found


def _recovered_by_chance(rows: Sequence[Row]) -> float:
    """Probability that random alive latents include one closer than the recovery threshold."""
    dimension = 2 if rows and rows[0]["geometry"] == "antipodal" else 4
    alive = [int(row["n_latents"] - row["n_dead"]) for row in rows]
    chances = [prob_max_cosine_above(RECOVERED_COSINE, dimension, m) for m in alive if m]
    return sum(chances) / len(chances) if chances else math.nan


def published_grid(study: StudyConfig, runs: Sequence[Row]) -> list[Finding]:
    """The main result, over learning rates and L1 coefficients."""
    found = []
    for law in study.laws:
        for q in [q for q in study.grid.one_hot if q < 1]:
            rows = cells(study, runs, "plain", "antipodal", law=law, one_hot=q)
            beside = cells(study, runs, "published", "antipodal", law=law, one_hot=q)
            data = "always composed" if q == 0 else f"{q:.0%} one-hot"
            found.append(
                finding(
                    f"SAEs find composed rather than true features, whatever lr and l1 "
                    f"({law} amplitudes, {data})",
                    "A, main result" if q == 0 else "A: largely persists at 75 % one-hot",
                    "share of cells where more diagonals than features are found",
                    share_over_seeds(rows, _more_composed),
                    at_least(0.8),
                    null=0.5,
                    note="published protocol "
                    f"{_words(share_over_seeds(beside, _more_composed))}; plain finds "
                    f"{interval_over_seeds(rows, 'recovered').mean:.2f} of features, "
                    f"{interval_over_seeds(rows, 'composed_recovered').mean:.2f} of diagonals",
                )
            )
    shared = next((law for law, f in study.laws.items() if f == 1), None)
    if shared is not None and "published" in study.protocols:
        found.append(_not_on_diagonals(study, runs, shared))
    return [*found, *_clean_statement(study, runs)]


def _more_composed(row: Row) -> float:
    """1 where a run found more diagonals than features, 0.5 where as many."""
    difference = row["composed_recovered"] - row["recovered"]
    return 0.5 + 0.5 * ((difference > 0) - (difference < 0))


def _not_on_diagonals(study: StudyConfig, runs: Sequence[Row], law: str) -> Finding:
    rows = cells(study, runs, "published", "antipodal", law=law, one_hot=0)
    plain = cells(study, runs, "plain", "antipodal", law=law, one_hot=0)
    return finding(
        "With shared amplitudes the published protocol's decoder rows are mostly not on the "
        "diagonals, although that is the optimum",
        "Till's comment on A; Anders agrees",
        "share of diagonals found, published protocol, whole grid",
        share_over_seeds(rows, "composed_recovered"),
        at_most(0.5),
        null=_recovered_by_chance(rows),
        note=f"plain protocol {_words(interval_over_seeds(plain, 'composed_recovered'))}",
    )


def _clean_statement(study: StudyConfig, runs: Sequence[Row]) -> list[Finding]:
    found = []
    for law in study.laws:
        rows = reference(study, runs, "plain", "antipodal", law=law, one_hot=0)
        found.append(
            finding(
                f"At the reference cell all four diagonals are learned ({law} amplitudes)",
                "our re-run of A with 8 latents",
                "share of seeds with all four diagonals found, plain protocol",
                share([row["composed_recovered"] == 1 for row in rows]),
                mean_at_least(0.95),
                note=f"true features found: {interval_over_seeds(rows, 'recovered').mean:.2f}",
            )
        )
    return found


def geometry_and_width(study: StudyConfig, runs: Sequence[Row]) -> list[Finding]:
    """Whether dimension and width change the answer."""
    found = []
    for law in study.laws:
        rows = reference(study, runs, "plain", "orthonormal", law=law, one_hot=0)
        found.append(
            finding(
                f"Composed features are found in place of true ones also in four orthonormal "
                f"dimensions ({law} amplitudes)",
                "A, beyond its plane",
                "diagonals found minus features found, shares, reference cell",
                interval_over_seeds(rows, lambda r: r["composed_recovered"] - r["recovered"]),
                at_least(0.0),
                null=0.0,
                note=f"features {interval_over_seeds(rows, 'recovered').mean:.2f}, sums "
                f"{interval_over_seeds(rows, 'composed_recovered').mean:.2f}",
            )
        )
    narrow, wide = min(study.widths), max(study.widths)
    late = [q for q in study.grid.one_hot if 0.5 < q < 1]
    for q in late[-1:]:
        narrow_found, wide_found = (
            per_seed(width_runs(study, runs, width, q), "recovered") for width in (narrow, wide)
        )
        differences = [wide_found[seed] - narrow_found[seed] for seed in narrow_found]
        found.append(
            finding(
                "Larger dictionaries get stuck less",
                "Anders in the comments on A",
                f"features found with {wide} latents minus with {narrow}, {q:.0%} one-hot, paired",
                seed_interval(differences),
                at_least(0.0),
                null=0.0,
                note=f"exact sign-flip p = {sign_flip_test(differences).p_value:.3f}; a wider "
                "dictionary also has more chances, see the chance levels in the table",
            )
        )
    return found


def principal_components(rows: Sequence[Row]) -> list[Finding]:
    """Whether latents are PCs where PCs and composed features are not the same thing."""
    boosted = [
        row for row in select(rows, protocol="plain", geometry="orthonormal") if row["boost"] > 0
    ]
    near = math.cos(math.radians(OUTCOME_DEGREES))
    return [
        finding(
            "SAEs find the PCs of the hidden space",
            "comments on A (Anders), tested where PCs and composed features differ",
            "share of latents within 15 degrees of a PC, boosted pair, orthonormal d = 4",
            share_over_seeds(boosted, "share_along_components"),
            at_least(0.5),
            # A random direction is near one of the 4 PCs, either way, about this often.
            null=prob_max_cosine_above(near, 4, 8),
        )
    ]


def coefficients(rows: Sequence[Row]) -> list[Finding]:
    """Whether regression coefficients on latents can be trusted."""
    composed = select(rows, protocol="plain", one_hot=0, boost=0)
    excess = interval_over_seeds(
        composed, lambda r: r["sign_errors_against_feature"] - r["sign_errors_expected"]
    )
    decoder = interval_over_seeds(composed, "sign_errors_against_decoder")
    collinear = select(composed, geometry="orthonormal")
    infinite = [math.isinf(row["vif_truth"]) for row in collinear]
    return [
        finding(
            "Regression coefficients on latents of composed data have the wrong sign more often "
            "than sampling explains",
            "Braun on multicollinearity; derivation",
            "share of latents with the sign of no matching feature, minus the share expected",
            excess,
            at_least(0.0),
            null=0.0,
            note=f"against their own decoder row {decoder.mean:.2f}; on the true features "
            f"{interval_over_seeds(composed, 'sign_errors_on_truth').mean:.2f}; "
            f"median size of the error: {_parts_of_the_error(composed)}",
        ),
        finding(
            "With shared amplitudes the true coefficients themselves are exactly collinear: no "
            "regression, and no SAE, can tell them apart from the data",
            "Shehper's comment on A; derivation: x1 + x2 = y1 + y2 on every sample",
            "share of always-composed worlds whose true features have infinite VIF",
            share([inf for inf, row in zip(infinite, collinear) if row["law"] == "shared"]),
            at_least(0.6),
            note="independent amplitudes: "
            f"{sum(i for i, r in zip(infinite, collinear) if r['law'] != 'shared')} worlds",
        ),
    ]


def _words(interval: Interval) -> str:
    return f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def _parts_of_the_error(rows: Sequence[Row]) -> str:
    """How large each part of the error is, over latents whose coefficient the data determine."""
    parts = {
        part: interval_over_seeds(rows, f"coefficient_{part}").mean
        for part in ("error", "definition", "attenuation", "omission")
    }
    return ", ".join(f"{part} {size:.2f}" for part, size in parts.items())
