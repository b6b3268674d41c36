"""Sentences that both the terminal and the report say."""

from __future__ import annotations

from experiments.describe.agreement import MIN_FIRINGS, SIGMAS, effective_samples
from experiments.describe.study import Description
from toysae.report.numbers import format_number

_LONGEST_VALUE = 60


def title(found: Description) -> str:
    """What is described."""
    hidden = found.config.hidden
    space = "" if hidden is None else f", hidden space {hidden.name}"
    return f"Generator {found.config.generator.name}{space}"


def size(found: Description) -> str:
    """How large the world is, and how much of it was looked at."""
    return (
        f"{found.truth.n_features:,} features, {found.realised.n_samples:,} samples; "
        f"{len(found.selection.shown):,} features in tables and figures of pairs"
    )


def parameters(found: Description) -> dict[str, str]:
    """The configuration of the generator; long values are cut."""
    texts = {key: "null" if v is None else str(v) for key, v in found.parameters.items()}
    return {
        key: text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 4]} ..."
        for key, text in texts.items()
    }


def origin(found: Description) -> str:
    """Whether the truth is exact."""
    if found.truth.exact and found.pairs_exact:
        return "The truth is exact: closed forms."
    if found.truth.exact:
        return "The truth is exact for single features, and a Monte Carlo estimate for pairs."
    return (
        "The truth is a Monte Carlo estimate, at least in part; sigmas include its standard errors."
    )


def verdict(found: Description) -> str:
    """Whether the samples are what is stated."""
    wrong = [c.name for c in found.comparisons if not c.as_stated]
    if wrong:
        return f"NOT as stated: {', '.join(wrong)} deviate by more than {SIGMAS:g} sigmas."
    return f"As stated: no deviation of more than {SIGMAS:g} sigmas."


def dependence(found: Description) -> str:
    """Whether samples depend on each other; empty where they do not."""
    ratio = found.realised.dispersion
    if ratio == 1:
        return ""
    return (
        f"Samples depend on each other: firings vary {ratio:.3g} times as much from block to block "
        f"as of independent samples, so that they count as {effective_samples(found.realised):,}."
    )


def reading() -> str:
    """How to read deviations."""
    return (
        "Largest deviation of realised from stated, in sigmas, beside the largest that as many "
        "independent comparisons show by chance (median). Magnitudes are compared given that "
        f"features fire, at {MIN_FIRINGS} firings or more."
    )


def tree(found: Description) -> str:
    """Whether children keep to their parents; empty without a tree."""
    counts = found.realised.tree
    if counts is None:
        return ""
    return (
        f"Of {counts.child_firings:,} firings of children, {counts.without_parent:,} happened "
        f"without the parent and {counts.beside_sibling:,} beside another child of it."
    )


def sharing(found: Description) -> list[str]:
    """The hidden space; nothing without one."""
    space = found.sharing
    if space is None:
        return []
    nearest = space.nearest.nanmean()
    said = [
        f"{found.truth.n_features:,} features in {space.d_hidden:,} dimensions; norms "
        f"{format_number(space.norms.min())} to {format_number(space.norms.max())}, "
        f"mean {format_number(space.norms.mean())}.",
        f"Largest |cos| with another feature: mean {format_number(nearest)}, by chance "
        f"{format_number(space.chance)}.",
    ]
    if space.components is None:
        return [*said, "The covariance is too large to be diagonalised."]
    parts = space.components
    return [
        *said,
        f"Participation ratio {format_number(parts.participation_ratio)}, effective rank "
        f"{format_number(parts.effective_rank)} (from {parts.n_samples:,} samples).",
    ]
