"""Results as tables: Markdown for people, LaTeX for papers, CSV for spreadsheets, JSON for programs."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dreampose3d.files import atomic_write

_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    c: f"\\{c}" for c in "&%$#_{}"
}


@dataclass(frozen=True)
class Table:
    """A table as it is printed: the first column holds words, the others numbers; its first cell says of what."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Report:
    """Tables, with the conditions that hold for each of their numbers: data, input, H, K, eta, flip."""

    conditions: str
    tables: Sequence[Table]


def to_markdown(report: Report) -> str:
    """The conditions, then each table, aligned in plain text, too."""
    return "\n\n".join([report.conditions, *map(_grid, report.tables)])


def to_latex(report: Report) -> str:
    """One floating table each (package booktabs), with the conditions in every caption."""
    return "\n\n".join(_floating(table, report.conditions) for table in report.tables)


def write_text(text: str, path: Path) -> None:
    """Write a text file, whole or not at all.

    Raises:
        OSError: If the file cannot be written.
    """
    with atomic_write(path) as temporary:
        temporary.write_text(text.rstrip("\n") + "\n", encoding="utf-8")


def write_result(result: Mapping[str, Any], path: Path) -> None:
    """Write a result as JSON, whole or not at all.

    Raises:
        OSError: If the file cannot be written.
        ValueError: If a number is not finite.
    """
    write_text(json.dumps(result, indent=2, allow_nan=False), path)


def to_csv(
    parts: Mapping[str, Mapping[str, Mapping[str, float]]], frames: Mapping[str, int], config: Mapping[str, Any]
) -> str:
    """One line for each part (an action, a sequence, the whole) and aggregation, with the conditions in each.

    Args:
        parts: Part -> aggregation -> metric -> number.
        frames: How many frames each part has; empty where it is not given.
        config: What was evaluated and how; `hypotheses` and `steps` are 1 in the lines of `h1k1`.
    """
    text = io.StringIO()
    lines = list(_lines(parts, frames, config))
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _lines(
    parts: Mapping[str, Mapping[str, Mapping[str, float]]], frames: Mapping[str, int], config: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    for part, aggregations in parts.items():
        for name, numbers in aggregations.items():
            alone = {"hypotheses": 1, "steps": 1} if name == "h1k1" else {}
            yield {
                "part": part,
                "frames": frames.get(part, ""),
                "aggregation": name,
                "oracle": name.startswith("oracle_"),
                **numbers,
                **config,
                **alone,
            }


def _grid(table: Table) -> str:
    """Words to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(table.header, *table.rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return "| " + " | ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]) + " |"

    rule = "|".join(["", "-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:]), ""])
    return "\n".join([line(table.header), rule, *map(line, table.rows)])


def _floating(table: Table, conditions: str) -> str:
    lines = [" & ".join(map(_escaped, cells)) + r" \\" for cells in (table.header, *table.rows)]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_escaped(conditions)}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(table.header) - 1)}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
