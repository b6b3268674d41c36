"""Claims about the data: how the toy model stores features, PCs, fourth moments."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.composed_features.config import StudyConfig
from experiments.composed_features.study import StudyResult
from toysae.metrics.uncertainty import Interval, wilson
from toysae.results.files import Row
from toysae.results.findings import Finding, at_least, at_most, close_to, finding
from toysae.results.rows import interval_over_seeds, select


def hidden_space(study: StudyConfig, result: StudyResult) -> list[Finding]:
    """How features are stored, what PCs and fourth moments say."""
    toys = [row for row in result.toy_models if row["one_hot"] < 1]
    plane = select(result.worlds, geometry="antipodal")
    uniform = select(plane, one_hot=0, boost=0)
    boosted = [row for row in plane if row["boost"] > 0]
    found = [
        finding(
            "The toy model stores each set antipodally: x1 = -x2, y1 = -y2, x orthogonal to y",
            "A; Chan's comment",
            "share of toy models whose cosine matrix is within 0.01 of -1, 0, 1",
            share([row["antipodal_deviation"] <= 0.01 for row in toys]),
            at_least(0.8),
            note=f"worst deviation {max(r['antipodal_deviation'] for r in toys):.2g}; "
            "one-hot data leave open which features are paired, and are not counted",
        ),
        finding(
            "The hidden covariance of the uniform tables is isotropic, I/3",
            "derivation from A's tables",
            "largest relative deviation of an eigenvalue from their mean",
            interval_over_seeds(uniform, "isotropy_deviation"),
            at_most(0.02),
            note=f"mean eigenvalue {interval_over_seeds(uniform, 'mean_eigenvalue').mean:.4f}",
        ),
        finding(
            "With the uniform table the PCs of the hidden space are the diagonals",
            "comments on A (Anders, Chan)",
            "share of worlds in which PCA determines any direction (5 % would by chance)",
            share([row["pcs_defined"] for row in uniform]),
            at_least(0.5),
            null=0.05,
            note=_uniform_pc_note(study, uniform),
        ),
        finding(
            "With a boosted pair the PCs are the diagonals",
            "comments on A; derivation",
            "angle of PC 1 to the nearest diagonal, degrees",
            interval_over_seeds(boosted, "first_pc_angle_to_composed"),
            at_most(2.0),
            null=22.5,
        ),
        finding(
            "PCs are the composed features also where every feature has a dimension of its own",
            "comments on A, read literally",
            "angle of PC 1 to the nearest x_i + y_j, boosted pair, orthonormal d = 4, degrees",
            interval_over_seeds(
                [r for r in select(result.worlds, geometry="orthonormal") if r["boost"] > 0],
                "first_pc_angle_to_composed",
            ),
            at_most(15.0),
            note="derivation: exactly 45; the coincidence is one of the plane",
        ),
    ]
    return [*found, *_fourth_order(study, uniform)]


def _uniform_pc_note(study: StudyConfig, uniform: Sequence[Row]) -> str:
    angles = {
        law: interval_over_seeds(select(uniform, law=law), "first_pc_angle_to_composed").mean
        for law in study.laws
    }
    listed = ", ".join(f"{law} {angle:.1f}" for law, angle in angles.items())
    return (
        f"mean angle of sample PC 1 to a diagonal: {listed} degrees. Shared amplitudes give |h_x| "
        "= |h_y| on every sample, so the sample covariance has equal diagonal entries and its PCs "
        "are diagonals whatever the sign of a correlation that is pure noise"
    )


def _fourth_order(study: StudyConfig, uniform: Sequence[Row]) -> list[Finding]:
    found = []
    for law, correlation in study.laws.items():
        rows = select(uniform, law=law)
        expected = 3.6 if correlation == 1 else 2.4
        if correlation in (0, 1):
            found += [
                finding(
                    f"Kurtosis along the true axes is 1.8 ({law} amplitudes)",
                    "derivation from A's tables",
                    "E[p^4] / E[p^2]^2 along the features",
                    interval_over_seeds(rows, "kurtosis_true"),
                    close_to(1.8, 0.05),
                ),
                finding(
                    f"Kurtosis along the diagonals is {expected} ({law} amplitudes): the fourth "
                    "moment singles them out",
                    "derivation from A's tables",
                    "E[p^4] / E[p^2]^2 along x_i + y_j",
                    interval_over_seeds(rows, "kurtosis_composed"),
                    close_to(expected, 0.05),
                ),
            ]
        converged = sum(row["ica_converged"] for row in rows)
        found.append(
            finding(
                f"ICA finds the diagonals too ({law} amplitudes)",
                "derivation from the fourth moments",
                "mean angle of independent components to the nearest diagonal, degrees",
                interval_over_seeds(rows, "ica_angle_to_composed"),
                at_most(5.0),
                null=22.5,
                note=f"angle to the nearest true axis "
                f"{interval_over_seeds(rows, 'ica_angle_to_feature').mean:.1f}; "
                f"converged in {converged} of {len(rows)}",
            )
        )
    return found


def share(flags: Sequence[bool]) -> Interval:
    """Share of true flags with its Wilson interval."""
    return wilson(sum(flags), len(flags))
