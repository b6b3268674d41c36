"""The commands on a device beside the CPU: all numbers are made, none on the wrong side."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from commands import SMALL, run_here
from pretended_device import pretended_device

from experiments.composed_features.__main__ import main as composed_features
from experiments.composed_features.coefficients import trust_in_coefficients
from experiments.train import main as train
from toysae.draws import CPU
from toysae.generators.composed_sets import ComposedSets
from toysae.hidden.orthonormal import Orthonormal
from toysae.hidden.stream import Stream
from toysae.results.measurements import EvaluationWorld
from toysae.saes.nulls import identity_sae

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

#: What reaches every part of the training and of the measurements.
RUNS = {
    "plain": (),
    "toy_model": ("hidden=toy_model", "hidden.steps=20", "trainer.objective=end_to_end"),
    "unit_mean_norm": ("trainer.input_scaling=unit_mean_norm", "hidden.bias_norm=1"),
    "resampled": (
        "trainer.dead_latents=resample", "trainer.resample_every=10", "trainer.dead_window=2",
        "sae.n_latents=32", "trainer.decoder_bias_start=geometric_median",
    ),
    "auxiliary": ("sae=topk", "trainer.dead_latents=auxiliary", "trainer.dead_window=2"),
    "ghost": ("trainer.dead_latents=ghost", "trainer.dead_window=2", "trainer.target_l0=2"),
    "layer_norm": ("sae=batch_topk", "trainer.input_scaling=layer_norm"),
    "matching_pursuit": ("sae=matching_pursuit",),
    "islands": ("generator=islands", "hidden=random", "hidden.d_hidden=12"),
    "tree": ("generator=tree", "hidden=random", "hidden.d_hidden=12"),
}  # fmt: skip

TINY_STUDY = (
    "size=demo", "seeds=2", "control_seeds=2", "grid.lr=[1e-3]", "grid.l1=[0.1]",
    "grid.one_hot=[0,1]", "crossing.one_hot=[0]", "crossing.steps=20", "widths=[4,8]",
    "evaluation_samples=200", "diagnostic_samples=500", "geometries.antipodal.steps=20",
    "protocols.plain.trainer.steps=20", "protocols.published.trainer.steps=20",
    "protocols.published.trainer.dead_window=10",
)  # fmt: skip


def rows(directory: Path, name: str) -> list[dict[str, str]]:
    (path,) = directory.rglob(name)
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", RUNS)
def test_train_mixes_no_devices(name, tmp_path):
    with pretended_device():
        ended = run_here(train, tmp_path, *SMALL, "measure.null_seeds=1", *RUNS[name])
    assert ended.code == 0, ended.message
    assert {"oracle", "identity", "initial_weights"} <= {
        row["sae"] for row in rows(tmp_path, "nulls.csv")
    }
    assert len(rows(tmp_path, "latents.csv")) > 0
    assert len(list(tmp_path.rglob("done.json"))) == 1


@pytest.mark.slow
def test_composed_features_mixes_no_devices(tmp_path):
    with pretended_device():
        ended = run_here(composed_features, tmp_path, *TINY_STUDY)
    assert ended.code == 0, ended.message
    assert len(rows(tmp_path, "reference_nulls.csv")) > 0
    assert len(list(tmp_path.rglob("done.json"))) == 1


def test_trust_in_coefficients_follows_the_samples():
    """Of the study, what it measures at its reference cells."""
    here = Stream(ComposedSets(), Orthonormal(d_hidden=4).spaces(ComposedSets(), [0], CPU)[0], 0)
    world = EvaluationWorld.sample(here, 200)
    known = trust_in_coefficients(identity_sae(4), world, 0)
    with pretended_device() as there:
        moved = replace(
            world,
            coefficients=world.coefficients.to(there),
            hidden=world.hidden.to(there),
            features=world.features.to(there),
        )
        found = trust_in_coefficients(identity_sae(4, there), moved, 0)
    assert found == pytest.approx(known, nan_ok=True)


@needs_gpu
@pytest.mark.parametrize("name", RUNS)
def test_train_on_a_gpu(name, tmp_path):
    ended = run_here(train, tmp_path, *SMALL, "device=cuda", *RUNS[name])
    assert ended.code == 0, ended.message
    assert len(rows(tmp_path, "nulls.csv")) > 0


@needs_gpu
def test_composed_features_on_a_gpu(tmp_path):
    ended = run_here(composed_features, tmp_path, *TINY_STUDY, "device=cuda")
    assert ended.code == 0, ended.message
    assert len(rows(tmp_path, "reference_nulls.csv")) > 0
