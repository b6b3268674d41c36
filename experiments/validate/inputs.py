"""Reading checkpoints and activations, all of them before anything is measured or written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import torch
from torch import Tensor

from experiments.validate.config import Real, ValidateConfig
from toysae.checkpoints.find import find_checkpoints
from toysae.checkpoints.saelens import load
from toysae.errors import CheckpointError, ConfigError, DataError
from toysae.language.activations import load_activations
from toysae.saes.base import SAE


@dataclass(frozen=True, eq=False)
class Subject:
    """One SAE that is looked at.

    Attributes:
        name: its directory, without what all directories have in common.
        hook: where in the model it reads, or "" where the checkpoint does not say.
        sae: one member.
        replicates: name of the SAEs that differ from it in nothing but the seed, as far as their
            configurations tell: same architecture, width, scaling and hook.
        seed: what the checkpoint says its seed is, or None.
    """

    name: str
    hook: str
    sae: SAE
    replicates: str
    seed: object

    @property
    def n_latents(self) -> int:
        """Number of latents, `m`."""
        return self.sae.n_latents

    @property
    def decoder(self) -> Tensor:
        """Decoder rows, `[m, d]`."""
        return self.sae.decoder[0]

    @property
    def encoder(self) -> Tensor:
        """Encoder directions as rows, `[m, d]`."""
        return self.sae.encoder_rows[0]


@dataclass(frozen=True)
class Group:
    """SAEs that read activations of the same dimension, and can be compared.

    Attributes:
        d_hidden: the dimension, `d`.
        subjects: the SAEs, by name.
        activations: `[N, d]`, or None where there are none of this dimension.
        applied: names of the SAEs that are applied to the activations.
    """

    d_hidden: int
    subjects: tuple[Subject, ...]
    activations: Tensor | None
    applied: frozenset[str]


@dataclass(frozen=True)
class Inputs:
    """Everything that was read.

    Attributes:
        groups: by dimension.
        activations_file: where the activations come from, or None.
        without_activations: why there are none, or "".
    """

    groups: tuple[Group, ...]
    activations_file: Path | None
    without_activations: str

    @property
    def n_subjects(self) -> int:
        """Number of SAEs."""
        return sum(len(group.subjects) for group in self.groups)


def read_inputs(config: ValidateConfig, device: torch.device) -> Inputs:
    """Read every checkpoint below the directory, and the activations if there are any.

    Raises:
        CheckpointError: no directory, no checkpoint, or one that cannot be read.
        ConfigError: activations without a hook, for SAEs of several.
        DataError: activations that cannot be read, are fewer than two, or have a dimension that no
            SAE has.
    """
    root = Path(config.real.directory)
    if not root.is_dir():
        hint = f" ({config.real.origin})" if config.real.origin else ""
        raise CheckpointError(
            f"real = {root}: no such directory{hint}; give a directory of SAELens checkpoints or "
            "a name that is listed by --help"
        )
    paths = find_checkpoints(root)
    subjects = _named_by_replicates(_subjects(paths, device))
    subjects.sort(key=lambda subject: subject.sae.d_hidden)
    by_dimension = {
        d: tuple(group) for d, group in groupby(subjects, lambda subject: subject.sae.d_hidden)
    }
    file, missing = _activations_file(config.real, root)
    if file is None:
        groups = [Group(d, group, None, frozenset()) for d, group in by_dimension.items()]
        return Inputs(tuple(groups), None, missing)
    activations = load_activations(file)[: config.samples]
    n_found, d_found = activations.shape
    if n_found < 2:
        raise DataError(f"{file}: {n_found} sample; needs at least 2")
    if d_found not in by_dimension:
        dimensions = ", ".join(str(d) for d in by_dimension)
        raise DataError(f"{file}: activations of dimension {d_found}; the SAEs read {dimensions}")
    applied = _applied(by_dimension[d_found], config.real.hook)
    groups = [
        Group(d, group, activations, applied)
        if d == d_found
        else Group(d, group, None, frozenset())
        for d, group in by_dimension.items()
    ]
    return Inputs(tuple(groups), file, "")


def _subjects(paths: Sequence[Path], device: torch.device) -> list[Subject]:
    common = Path(os.path.commonpath(paths)) if len(paths) > 1 else paths[0].parent
    checkpoints = [load(path, device=device) for path in paths]
    return [
        Subject(
            name=path.relative_to(common).as_posix(),
            hook=str(checkpoint.metadata.get("hook_name") or ""),
            sae=checkpoint.sae,
            replicates="",
            seed=checkpoint.metadata.get("seed"),
        )
        for path, checkpoint in zip(paths, checkpoints)
    ]


def _named_by_replicates(subjects: Sequence[Subject]) -> list[Subject]:
    """The SAEs with the name of their replicates: what all of their names begin with."""
    kinds: dict[tuple[object, ...], list[Subject]] = {}
    for subject in subjects:
        sae = subject.sae
        kind = (sae.family.name, sae.family, sae.scaling, sae.decoder.shape, subject.hook)
        kinds.setdefault(kind, []).append(subject)
    named = []
    for members in kinds.values():
        label = _common_name([s.name for s in members], [s.name for s in subjects])
        named += [replace(member, replicates=label) for member in members]
    return sorted(named, key=lambda subject: subject.name)


def _common_name(names: Sequence[str], all_names: Sequence[str]) -> str:
    """`topk_seed*` for `topk_seed0` and `topk_seed1`, where that describes no others."""
    prefix = os.path.commonprefix(names)  # noqa: RUF071 (characters are meant, not folders)
    others = set(all_names) - set(names)
    if len(names) > 1 and prefix and not any(name.startswith(prefix) for name in others):
        return f"{prefix}*"
    return ", ".join(names)


def _activations_file(real: Real, root: Path) -> tuple[Path | None, str]:
    """The file, or None and why there is none."""
    if real.activations is not None:
        given = Path(real.activations)
        return (given if given.is_file() or given.is_absolute() else root / given), ""
    found = sorted(root.glob("*acts*.npy"))
    if len(found) == 1:
        return found[0], ""
    names = ", ".join(path.name for path in found)
    reason = f"{root} holds several ({names})" if found else f"{root} holds no *acts*.npy"
    return None, f"{reason}; name a file with activations=<file>"


def _applied(subjects: Sequence[Subject], hook: str | None) -> frozenset[str]:
    hooks = sorted({subject.hook for subject in subjects})
    if hook is None and len(hooks) > 1:
        raise ConfigError(
            f"hook: not given, and the SAEs read from {', '.join(map(repr, hooks))}; must name the "
            "one where the activations were recorded"
        )
    applied = frozenset(s.name for s in subjects if hook is None or s.hook == hook)
    if not applied:
        raise ConfigError(f"hook = {hook!r}: no SAE reads there; known are {', '.join(hooks)}")
    return applied
