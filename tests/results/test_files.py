from __future__ import annotations

import json
import math
import os

import numpy as np
import pytest
import torch

from toysae.results.files import read_csv, write_csv, write_json, write_text

WRITERS = {
    write_text: "new",
    write_json: {"a": 1},
    write_csv: [{"a": 1}],
}


@pytest.mark.parametrize("write", WRITERS)
class TestAtomic:
    def test_leaves_nothing_but_the_file(self, write, tmp_path):
        write(tmp_path / "x", WRITERS[write])
        assert [path.name for path in tmp_path.iterdir()] == ["x"]

    def test_file_appears_by_one_rename_when_it_is_complete(self, write, tmp_path, monkeypatch):
        target = tmp_path / "x"
        target.write_text("old")
        seen = []
        rename = os.replace

        def replace(source, destination):
            seen.append((target.read_text(), source.parent, destination, source.read_text()))
            rename(source, destination)

        monkeypatch.setattr(os, "replace", replace)
        write(target, WRITERS[write])
        ((before, folder, destination, complete),) = seen
        assert before == "old"
        assert (folder, destination) == (tmp_path, target)
        assert target.read_text() == complete != "old"

    def test_old_file_survives_a_write_that_fails(self, write, tmp_path, monkeypatch):
        target = tmp_path / "x"
        target.write_text("old")

        def fail(*_):
            raise OSError("disk full")

        monkeypatch.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="disk full"):
            write(target, WRITERS[write])
        assert target.read_text() == "old"


class TestJson:
    def test_what_is_not_finite_is_null(self, tmp_path):
        values = {"a": math.nan, "b": [math.inf, -math.inf, 1.5], "c": {"d": (np.nan, 2)}}
        write_json(tmp_path / "x", values)
        text = (tmp_path / "x").read_text()
        assert json.loads(text) == {"a": None, "b": [None, None, 1.5], "c": {"d": [None, 2]}}
        assert text.endswith("}\n")

    def test_arrays_and_their_numbers_are_lists_and_numbers(self, tmp_path):
        values = {
            "array": np.array([[1.0, math.nan]]), "number": np.float32(0.5), "int": np.int64(3),
            "tensor": torch.tensor([1, 2]), "scalar": torch.tensor(math.nan), 7: True, "n": None,
        }  # fmt: skip
        write_json(tmp_path / "x", values)
        assert json.loads((tmp_path / "x").read_text()) == {
            "array": [[1.0, None]], "number": 0.5, "int": 3, "tensor": [1, 2], "scalar": None,
            "7": True, "n": None,
        }  # fmt: skip

    def test_floats_are_kept_in_full(self, tmp_path):
        write_json(tmp_path / "x", 0.1 + 0.2)
        assert json.loads((tmp_path / "x").read_text()) == 0.1 + 0.2

    def test_what_json_cannot_hold_is_refused_and_nothing_is_written(self, tmp_path):
        with pytest.raises(TypeError):
            write_json(tmp_path / "x", {"a": object()})
        assert list(tmp_path.iterdir()) == []


class TestCsv:
    def test_columns_are_in_order_of_appearance_and_missing_cells_empty(self, tmp_path):
        write_csv(tmp_path / "x", [{"b": 1, "a": "p,q"}, {"a": 'say "so"', "c": 0.1 + 0.2}])
        assert (tmp_path / "x").read_text().splitlines()[0] == "b,a,c"
        assert read_csv(tmp_path / "x") == [
            {"b": "1", "a": "p,q", "c": ""},
            {"b": "", "a": 'say "so"', "c": "0.30000000000000004"},
        ]

    def test_text_of_any_alphabet_and_line_breaks_return(self, tmp_path):
        rows = [{"λ": "größer\nals 1"}]
        write_csv(tmp_path / "x", rows)
        assert read_csv(tmp_path / "x") == rows

    def test_no_rows(self, tmp_path):
        write_csv(tmp_path / "x", [])
        assert read_csv(tmp_path / "x") == []
