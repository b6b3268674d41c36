from __future__ import annotations

from commands import ROOT, run_apart


def test_training_prints_a_row_a_case_and_both_ways_agree():
    ended = run_apart("benchmarks.training", ROOT, "--members", "2", "--steps", "5")
    assert ended.returncode == 0, ended.stderr
    rows = [line for line in ended.stdout.splitlines() if " protocol, d=" in line]
    assert len(rows) == 3
    for row in rows:
        assert float(row.split()[-1]) < 1e-5
