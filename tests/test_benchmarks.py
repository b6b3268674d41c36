from __future__ import annotations

import json
import math
from types import SimpleNamespace

import pytest
import torch
from commands import ROOT, run_apart

from benchmarks import training_gpu as gpu
from benchmarks.training import keep
from toysae.draws import CPU
from toysae.training import chunks


def test_training_prints_a_row_a_case():
    ended = run_apart("benchmarks.training", ROOT, "d2_m8", "--members", "2", "--repeats", "1")
    assert ended.returncode == 0, ended.stderr
    (row,) = [line.split() for line in ended.stdout.splitlines() if line.startswith("d2_m8")]
    _, members, l0, ours, plain, ratio = row[:6]
    assert members == "2"
    assert 1 < float(l0) < 8
    assert float(ratio.rstrip("x")) == pytest.approx(float(plain) / float(ours), rel=0.02)


def test_cases_that_are_measured_again_replace_themselves(tmp_path):
    path = tmp_path / "training.json"
    keep(path, {"cpu": "old"}, [{"case": "d4_m8", "us": 2}, {"case": "d2_m8", "us": 1}])
    keep(path, {"cpu": "new"}, [{"case": "d4_m8", "us": 3}])
    cases = json.loads(path.read_text())["cases"]
    assert [(case["case"], case["us"], case["measured_on"]["cpu"]) for case in cases] == [
        ("d2_m8", 1, "old"),
        ("d4_m8", 3, "new"),
    ]


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
    assert gpu.Shape(2, 3).parameters == 17
    assert gpu.Shape(2, 3).floor(bandwidth=1.0, flops=math.inf) == 544 + 4096 * 28
    assert gpu.Shape(2, 3).floor(bandwidth=math.inf, flops=2.0) == 10 * 1024 * 6 / 2


@pytest.mark.parametrize(
    ("name", "bandwidth"),
    [
        ("NVIDIA H200", 4.8e12),
        ("NVIDIA GH200 480GB", 4.0e12),
        ("NVIDIA H100 PCIe", 2.0e12),
        ("NVIDIA A100 80GB PCIe", 1.935e12),
        ("NVIDIA L40", 0.864e12),
        ("NVIDIA L4", 0.3e12),
    ],
)
def test_peaks_are_those_of_the_very_device(name, bandwidth):
    assert gpu.peaks(name)[0] == bandwidth


@pytest.mark.parametrize("name", ["a device of tomorrow", "NVIDIA GeForce RTX 4090 Laptop GPU"])
def test_device_that_is_not_listed_has_no_peaks(name):
    assert all(math.isnan(peak) for peak in gpu.peaks(name))


@pytest.fixture
def short(monkeypatch):
    """Few steps: on the CPU as it would be on a GPU."""
    monkeypatch.setattr(gpu, "BATCH", 32)
    monkeypatch.setattr(gpu, "STRETCH", 2)
    for name in ("CHUNK_MEMBER_STEPS", "GPU_CHUNK_MEMBER_STEPS"):
        monkeypatch.setattr(chunks, name, 40)


def test_gpu_benchmark_prints_and_keeps_a_row_a_size(short, monkeypatch, tmp_path, capsys):
    needed = gpu.stack_bytes(gpu.SHAPES["d2_m8"].members(3, CPU), 1)
    monkeypatch.setattr(gpu, "free_bytes", lambda device: needed / gpu.SHARE)
    gpu.run(["d2_m8"], [2, 3, 4000], CPU, 60, tmp_path / "result.json")
    two, three, many = json.loads((tmp_path / "result.json").read_text())["rows"]
    assert (two["members"], three["members"], many["members"]) == (2, 3, 4000)
    assert two["rate"] > 0
    assert two["plain"] > 0
    assert many["left_out"].startswith("needs ")
    lines = capsys.readouterr().out.splitlines()[-3:]
    assert [line.split()[:2] for line in lines] == [["d2_m8", n] for n in ("2", "3", "4000")]
    assert "left out: needs" in lines[2]


def test_gpu_benchmark_goes_on_after_memory_ran_out(short, monkeypatch):
    def stacked(members, device):
        if len(members) == 2:
            raise torch.OutOfMemoryError("out of memory")
        return 10.0, "a kernel"

    monkeypatch.setattr(gpu, "stacked", stacked)
    two, three = gpu.measure("d2_m8", [2, 3], CPU, deadline=math.inf)
    assert two["left_out"].startswith("out of memory, although ")
    assert three["rate"] == 10.0


def test_gpu_benchmark_begins_nothing_that_would_end_too_late(short):
    rows = list(gpu.measure("d2_m8", [1, 2], CPU, deadline=0))
    assert [row["left_out"] for row in rows] == ["no time left"] * 2


def test_gpu_benchmark_times_neither_the_capture_nor_the_measurement_at_the_end(monkeypatch):
    """Five chunks that take 100, 30, 1, 1 and 50 seconds."""
    clock = [0.0]

    def train(members, progress):
        for seconds in (100, 30, 1, 1, 50):
            clock[0] += seconds
            progress(8)
        yield SimpleNamespace(kernel="a kernel")

    monkeypatch.setattr(gpu, "train", train)
    monkeypatch.setattr(gpu, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    assert gpu.stacked([], CPU) == (8.0, "a kernel")


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


@pytest.mark.parametrize(
    ("what", "line"),
    [("regularized", "highest_vif"), ("blocks", "unbounded"), ("one_block", "blocks")],
)
@pytest.mark.slow
def test_benchmark_of_other_inflation_prints(what, line):
    scale = ("--what", what, "--scale", "0.02", "--threads", "1")
    ended = run_apart("benchmarks.metrics.collinearity", ROOT, *scale)
    assert ended.returncode == 0, ended.stderr
    assert any(printed.startswith(line) for printed in ended.stdout.splitlines())


@pytest.mark.slow
def test_benchmark_of_cofiring_prints_a_row_a_way():
    ended = run_apart("benchmarks.metrics.cofiring", ROOT, "--scale", "0.01", "--threads", "1")
    assert ended.returncode == 0, ended.stderr
    first_words = [line.split()[0] for line in ended.stdout.splitlines() if line]
    for way in ("best", "pairs", "graph", "counts"):
        assert first_words.count(way) == 1
