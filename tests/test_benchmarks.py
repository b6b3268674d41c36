from __future__ import annotations

import json

import pytest
from commands import ROOT, run_apart


def test_training_prints_a_row_a_case_and_both_ways_agree():
    ended = run_apart("benchmarks.training", ROOT, "--members", "2", "--steps", "5")
    assert ended.returncode == 0, ended.stderr
    rows = [line for line in ended.stdout.splitlines() if " protocol, d=" in line]
    assert len(rows) == 3
    for row in rows:
        assert float(row.split()[-1]) < 1e-5


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
