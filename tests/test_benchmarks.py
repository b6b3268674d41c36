from __future__ import annotations

import json
import math

import pytest
import torch
from commands import ROOT, run_apart


def test_training_prints_a_row_a_case():
    ended = run_apart("benchmarks.training", ROOT, "d2_m8", "--members", "2", "--repeats", "1")
    assert ended.returncode == 0, ended.stderr
    (row,) = [line.split() for line in ended.stdout.splitlines() if line.startswith("d2_m8")]
    _, members, l0, ours, plain, ratio = row[:6]
    assert members == "2"
    assert 1 < float(l0) < 8
    assert float(ratio.rstrip("x")) == pytest.approx(float(plain) / float(ours), rel=0.02)


def test_training_refuses_a_case_that_it_does_not_know():
    ended = run_apart("benchmarks.training", ROOT, "d3_m9")
    assert ended.returncode == 2
    assert "unknown case d3_m9; known are d2_m8, " in ended.stderr


def test_both_ways_of_training_agree():
    ended = run_apart(
        "benchmarks._training_toysae", ROOT, "plain", "d20_m100", "--threads", "1", "--repeats", "1"
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["difference"] < 1e-3


def test_worker_of_generators_prints_what_it_measured():
    ended = run_apart(
        "benchmarks._generators_toysae", ROOT, "tree", "--features", "128", "--repeats", "1"
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["features"] == 128
    assert 1.18 < found["l0"] < 1.30  # 1.2424 by the closed form
    assert found["codes_per_second"] > found["samples_per_second"] / 2 > 0
    assert found["peak_megabytes"] > 100


@pytest.mark.slow
def test_generators_prints_a_row_a_case_and_a_size():
    ended = run_apart("benchmarks.generators", ROOT, "--sizes", "128", "1024", "--repeats", "1")
    assert ended.returncode == 0, ended.stderr
    first_words = [line.split()[0] for line in ended.stdout.splitlines() if line]
    for case, rows in (("synth_sae_bench_16k", 1), ("correlated", 1), ("independent", 2)):
        assert first_words.count(case) == rows
    assert first_words.count("tree") == 2


@pytest.mark.parametrize("name", ["cosine", "hungarian"])
def test_benchmarks_of_dictionaries_print_a_row_a_case(name):
    options = ("--scale", "0.05", "--threads", "1")
    ended = run_apart(f"benchmarks.metrics.{name}", ROOT, *options)
    assert ended.returncode == 0, ended.stderr
    first, _, *rows = ended.stdout.splitlines()
    assert first.startswith("1,229 rows, 1 threads; ")
    assert [row[:14].rstrip() for row in rows] == ["found again", "independent", "copies"]
    if name == "hungarian":
        bounds, differences = zip(*((row.split()[-3], row.split()[-1]) for row in rows))
        assert all(0 <= float(bound) < 1e-9 for bound in bounds)
        assert all(abs(float(difference)) < 1e-9 for difference in differences)


def test_gpu_benchmark_says_in_a_line_that_there_is_no_gpu():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    ended = run_apart("benchmarks.training_gpu", ROOT)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "this machine has no CUDA device: nothing is measured\n"


def test_roofline_of_a_shape():
    """d 2, 3 latents: 17 parameters; 10 * 1024 * 6 FLOP; 544 + 4096 * 28 bytes."""
    from benchmarks.training_gpu import Shape, peaks

    assert Shape(2, 3).parameters == 17
    assert Shape(2, 3).floor(bandwidth=1.0, flops=math.inf) == 544 + 4096 * 28
    assert Shape(2, 3).floor(bandwidth=math.inf, flops=2.0) == 10 * 1024 * 6 / 2
    assert peaks("NVIDIA H200")[0] == 4.8e12
    assert peaks("NVIDIA H100 PCIe")[0] == 2.0e12
    assert all(math.isnan(peak) for peak in peaks("a device of tomorrow"))


def test_benchmark_of_auroc_agrees_with_sklearn():
    ended = run_apart("benchmarks.metrics.auroc", ROOT, "--scale", "0.02")
    assert ended.returncode == 0, ended.stderr
    differences = [
        float(line.split(":")[1])
        for line in ended.stdout.splitlines()
        if line.startswith("largest difference")
    ]
    assert len(differences) == 3
    assert max(differences) < 1e-12


def test_benchmark_of_collinearity_names_the_relations():
    ended = run_apart("benchmarks.metrics.collinearity", ROOT, "--scale", "0.02", "--threads", "1")
    assert ended.returncode == 0, ended.stderr
    found = dict(line.split(maxsplit=1) for line in ended.stdout.splitlines() if line)
    assert found["latents"] == found["condition_indices"] == "492"
    assert found["relations"].startswith("((0, 1), (2, 3, 4)")


@pytest.mark.slow
def test_benchmark_of_cofiring_prints_a_row_a_way():
    ended = run_apart("benchmarks.metrics.cofiring", ROOT, "--scale", "0.01", "--threads", "1")
    assert ended.returncode == 0, ended.stderr
    first_words = [line.split()[0] for line in ended.stdout.splitlines() if line]
    for way in ("best", "pairs", "graph", "counts"):
        assert first_words.count(way) == 1
