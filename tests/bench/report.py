"""The measurements, as a table for people and as JSON for programs."""

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Target:
    """The target of a row's figure, such as at most 1.25."""

    comparison: Literal["≤", "<", "≥"]
    limit: float

    def met(self, figure: float) -> bool:
        match self.comparison:
            case "≤":
                return figure <= self.limit
            case "<":
                return figure < self.limit
            case "≥":
                return figure >= self.limit


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measurement.

    Attributes:
        work: what was done.
        ours: what it took through the daemon, as a text with its unit.
        bare: what it took without; empty where there is no such thing.
        figure: what the target is about.
        unit: of the figure: "ms", "MB", "%"; empty: it is a ratio.
        target: what the figure has to be; None: for information only.
        note: what was compared, as a footnote.
        failed: whether it could not be measured, which misses any target.
    """

    work: str
    ours: str = ""
    bare: str = ""
    figure: float | None
    unit: str = ""
    target: Target | None = None
    note: str
    failed: bool = False

    @classmethod
    def ratio(
        cls, work: str, ours: float, bare: float, target: Target | None, *, note: str
    ) -> "Row":
        """A row about two durations, in milliseconds."""
        return cls(
            work=work,
            ours=f"{ours:.2f} ms",
            bare=f"{bare:.2f} ms",
            figure=ours / bare,
            target=target,
            note=note,
        )

    @classmethod
    def failure(cls, work: str, error: Exception) -> "Row":
        """A row about what could not be measured."""
        note = f"Could not be measured: {type(error).__name__}: {error}"
        return cls(work=work, figure=None, note=note, failed=True)

    @property
    def passed(self) -> bool | None:
        """Whether the target is met, or None without a target."""
        if self.failed:
            return False
        if self.target is None or self.figure is None:
            return None
        return self.target.met(self.figure)


@dataclass(frozen=True)
class Report:
    """All rows of one run."""

    rows: Sequence[Row]
    quick: bool
    seconds: float

    @property
    def passed(self) -> bool:
        return all(row.passed is not False for row in self.rows)

    @property
    def notes(self) -> list[str]:
        """The footnotes, each once, in the order of the rows."""
        return list(dict.fromkeys(row.note for row in self.rows))

    def show(self, console: Console) -> None:
        """Print the table."""
        kind = "quick run: fewer rounds and watchers" if self.quick else "full run"
        table = Table(title=f"proad over the bare engines ({kind})", title_justify="left")
        # On a narrow terminal the long columns wrap, so that figures and verdicts stay whole.
        table.add_column("work")
        for name in ("ours", "bare"):
            table.add_column(name, justify="right")
        for name in ("figure", "target"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
        notes = self.notes
        for row in self.rows:
            table.add_row(
                f"{row.work} [dim]({notes.index(row.note) + 1})[/dim]",
                row.ours,
                row.bare,
                "-" if row.figure is None else _amount(row.figure, row.unit),
                f"{row.target.comparison} {_amount(row.target.limit, row.unit)}"
                if row.target
                else "[dim]none[/dim]",
                _VERDICTS[row.passed],
            )
        console.print(table)
        for number, note in enumerate(notes, 1):
            console.print(f"[dim]({number})[/dim] {note}", highlight=False)
        missed = sum(row.passed is False for row in self.rows)
        verdict = f"[red bold]{missed} missed[/red bold]" if missed else "[green]all met[/green]"
        console.print(f"Targets: {verdict}. It took {self.seconds:.0f} s.")

    def write(self, file: Path) -> None:
        """Write it as JSON."""
        content = {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": platform.platform(),
            "quick": self.quick,
            "seconds": round(self.seconds, 1),
            "passed": self.passed,
            "rows": [asdict(row) | {"passed": row.passed} for row in self.rows],
        }
        file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


_VERDICTS = {True: "[green]pass[/green]", False: "[red bold]MISS[/red bold]", None: ""}


def _amount(figure: float, unit: str) -> str:
    digits = 3 if abs(figure) < 0.1 else 2 if abs(figure) < 10 else 0
    return f"{figure:.{digits}f} {unit}".rstrip()
