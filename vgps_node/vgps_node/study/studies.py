"""The studies by name, and where each keeps its records, pictures and page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vgps_models.errors import UnknownNameError
from vgps_node.study import filtering, record, rewards, shown, vptr
from vgps_node.study.experiment import Experiment
from vgps_node.study.recipe import Recipe
from vgps_node.study.record import Record
from vgps_node.study.steering import experiments as steering
from vgps_node.study.steering import page as steering_page
from vgps_node.study.steering import recipes as steering_recipes

Write = Callable[[Mapping[str, Record], Path, Path, str, Path], Path]  # records, page, pictures, remarks, their folder


@dataclass(frozen=True)
class Study:
    """stages: what is trained, each after what it needs. experiments: what is played, in the order of importance."""

    name: str
    stages: Callable[[], list[list[Recipe]]]
    experiments: Callable[[], list[Experiment]]
    write: Write

    @property
    def records(self) -> Path:
        return Path("docs/results") / self.name

    @property
    def runs(self) -> Path:
        """Where played episodes and logs are kept."""
        return Path("runs") / self.name

    def experiment(self, name: str) -> Experiment:
        table = {e.name: e for e in self.experiments()}
        if name not in table:
            raise UnknownNameError("experiment", name, table)
        return table[name]

    def page(self, records: Path | None = None) -> Path:
        """Write the page from the records, with `remarks.md` beside them: what people concluded."""
        folder = records or self.records
        remarks = folder / "remarks.md"
        return self.write(
            record.read_all(folder),
            Path("docs") / f"{self.name}.md",
            Path("docs/images") / self.name,
            remarks.read_text(encoding="utf-8") if remarks.exists() else "",
            folder,
        )


def _steering(records: Mapping[str, Record], page: Path, pictures: Path, remarks: str, folder: Path) -> Path:
    """Its page also shows how calibrated the critics are."""
    record.keep_calibrations(steering_recipes.RUNS / "critics", folder / "calibration")
    calibrations = record.read_calibrations(folder / "calibration")
    return steering_page.write(records, page, pictures, remarks, calibrations)


def _vptr(records: Mapping[str, Record], page: Path, pictures: Path, remarks: str, folder: Path) -> Path:
    """Its page also shows what the values learned from video are worth."""
    vptr.keep_values(folder)
    return vptr.write(records, page, pictures, remarks, folder)


STUDIES = {
    "steering": Study("steering", steering_recipes.stages, steering.everything, _steering),
    "filtering": Study("filtering", filtering.stages, filtering.everything, filtering.write),
    "rewards": Study("rewards", rewards.stages, rewards.everything, rewards.write),
    "shown": Study("shown", shown.stages, shown.everything, shown.write),
    "vptr": Study("vptr", vptr.stages, vptr.everything, _vptr),
}


def get_study(name: str) -> Study:
    if name not in STUDIES:
        raise UnknownNameError("study", name, STUDIES)
    return STUDIES[name]
