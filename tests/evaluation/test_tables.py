"""One report in four formats: what is read back is what was written."""

import csv
import io
import json
import math

import pytest

from dreampose3d.evaluation.tables import Report, Table, to_csv, to_latex, to_markdown, write_result, write_text

REPORT = Report(
    "H36M_x, 50 % & more; H=3 K=2",
    [
        Table(["MPJPE, mm", "Dir.", "average"], [["P-Agg", "40.1", "7.0"], ["J-Best (oracle)", "31.9", "123.4"]]),
        Table(["PCK, %", "TS1"], [["P-Agg", "99.1"]]),
    ],
)


def test_markdown_is_aligned_and_has_every_cell():
    conditions, first, second = to_markdown(REPORT).split("\n\n")
    assert conditions == REPORT.conditions
    for block, table in zip((first, second), REPORT.tables, strict=True):
        header, rule, *rows = block.splitlines()
        assert len({len(line) for line in (header, rule, *rows)}) == 1
        assert rule.count(":|") == len(table.header) - 1  # numbers to the right
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in (header, *rows)]
        assert cells == [table.header, *table.rows]


def test_latex_has_every_cell_and_the_conditions_in_each_caption():
    floats = to_latex(REPORT).split("\n\n")
    assert len(floats) == 2
    for text, table in zip(floats, REPORT.tables, strict=True):
        assert text.startswith("\\begin{table}")
        assert text.endswith("\\end{table}")
        assert "H36M\\_x, 50 \\% \\& more; H=3 K=2}" in text
        assert f"\\begin{{tabular}}{{l{'r' * (len(table.header) - 1)}}}" in text
        lines = [line.removesuffix(r" \\").split(" & ") for line in text.splitlines() if line.endswith(r" \\")]
        assert lines == [[cell.replace("%", "\\%") for cell in row] for row in (table.header, *table.rows)]


def test_csv_states_the_conditions_in_every_line():
    parts = {
        "Dir., etc": {"h1k1": {"mpjpe_mm": 1.25}, "oracle_j_best": {"mpjpe_mm": 0.5}},
        "average": {"p_agg": {"mpjpe_mm": 2}},
    }
    text = to_csv(parts, {"Dir., etc": 7}, {"hypotheses": 20, "steps": 10, "eta": 1.0, "flip": "inside"})
    lines = list(csv.DictReader(io.StringIO(text)))
    assert [line["part"] for line in lines] == ["Dir., etc", "Dir., etc", "average"]
    assert [float(line["mpjpe_mm"]) for line in lines] == [1.25, 0.5, 2]
    assert [line["oracle"] for line in lines] == ["False", "True", "False"]
    assert [(line["hypotheses"], line["steps"]) for line in lines] == [("1", "1"), ("20", "10"), ("20", "10")]
    assert {(line["eta"], line["flip"]) for line in lines} == {("1.0", "inside")}
    assert [line["frames"] for line in lines] == ["7", "7", ""]


def test_files_end_with_one_newline_and_nothing_is_written_of_what_is_not_finite(tmp_path):
    write_text("a\n\n", tmp_path / "a.md")
    assert (tmp_path / "a.md").read_text() == "a\n"
    write_result({"x": 1.5}, tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 1.5}
    with pytest.raises(ValueError, match="Out of range float"):
        write_result({"x": math.inf}, tmp_path / "b.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.md"]
