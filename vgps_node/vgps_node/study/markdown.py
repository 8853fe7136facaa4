"""What the pages of all studies are written with: tables of rates and paired differences, and where they come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vgps_node.study.record import Record
from vgps_sim.statistics import Pair

SHORT = {
    "put_spoon_on_towel": "spoon",
    "put_carrot_on_plate": "carrot",
    "stack_green_block_on_yellow_block": "stack",
    "put_eggplant_in_basket": "eggplant",
}


@dataclass(frozen=True)
class Links:
    """Links from docs/<study>.md to its pictures and records."""

    study: str

    def image(self, path: Path) -> str:
        return f"![{path.stem}](images/{self.study}/{path.name})"

    def record(self, name: str) -> str:
        return f"[{name}](results/{self.study}/{name}.json)"

    def source(self, names: Iterable[str]) -> str:
        return "From " + ", ".join(self.record(n) for n in names) + "."

    def sources(self, records: Mapping[str, Record], wanted: Iterable[str]) -> list[str]:
        """The section that traces every record to its command, and names the experiments that were not played."""
        rows = [
            [self.record(n), f"`{r.json['command']}`", f"`{r.json['git']}`", str(len(r.tasks))]
            for n, r in records.items()
        ]
        missing = [name for name in wanted if name not in records]
        note = [f"Not played yet: {', '.join(missing)}.", ""] if missing else []
        return [
            "## Where the numbers come from",
            "",
            *table(["record", "command", "revision", "seeds"], rows),
            "",
            *note,
        ]


def write_page(
    page: Path, title: str, about: Sequence[str], remarks: str, sides: Sequence[str], sections: Sequence[str]
) -> Path:
    """A study's page from lines: what it is about, what was learned, a table of its sides, and sections."""
    lines = [f"# {title}", "", *about, "", *remarks.strip().splitlines(), "", *sides, "", *sections]
    page.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    return page


def sides(record: Record, baseline: str, names: Sequence[str], label: str = "bare") -> list[str]:
    """Rates of the named sides by task, and their paired differences to the baseline."""
    tasks = list(dict.fromkeys(record.tasks))
    rows = []
    for name in names:
        value, (low, high), _ = record.rate(name)
        difference = "" if name == baseline else pair(record.pair(name, baseline))
        each = [rate(record.rate(name, task)[0]) for task in tasks]
        rows.append([name, *each, f"**{rate(value)}**", f"{rate(low)} - {rate(high)}", difference])
    head = ["side", *(SHORT.get(t, t) for t in tasks), "all", "interval", f"minus {label} [points]"]
    return table(head, rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(row)} |" for row in rows)]


def rate(value: float) -> str:
    return f"{value:.3f}".lstrip("0") if value < 1 else f"{value:.2f}"


def points(difference: float, ci: tuple[float, float]) -> str:
    return f"{100 * difference:+.1f} ({100 * ci[0]:+.1f} to {100 * ci[1]:+.1f})"


def pair(pair: Pair) -> str:
    p = "< .001" if pair.mcnemar_p < 0.001 else f"= {pair.mcnemar_p:.3f}"
    return f"{points(pair.difference, pair.ci95)}, p {p}"
