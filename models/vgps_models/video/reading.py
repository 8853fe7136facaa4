"""One recording into a shard: resampled, made square, cut into pieces; whatever is wrong with it is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from vgps_models.data.foreign_video import NoFramesError, NoPictureError
from vgps_models.errors import DataError
from vgps_models.video.fitting import Fitter
from vgps_models.video.form import Form, Problem
from vgps_models.video.moments import Moment, Resampler
from vgps_models.video.sources.base import Recording
from vgps_models.video.writing import ShardWriter

UNREADABLE, NO_PICTURE, EMPTY = "unreadable", "no picture", "empty"
TOO_SHORT, CUT_SHORT, CRASH = "too short", "cut short", "crashes the decoder"
BEGINS, DONE, THERE = "begins", "done", "there already"


def read(recording: Recording, writer: ShardWriter, form: Form, fit: Fitter) -> Problem | None:
    """Append all that can be read of a recording, and write down what cannot. Returns the problem, if there is one."""
    resampler = Resampler(form.hz)
    ticks = resampler(recording.play())
    shown: Moment | None = None
    content = before = b""
    error: DataError | None = None
    rotated = repeated = pieces = total = 0
    text = recording.text

    def end_piece(*, cut_short: bool = False) -> None:
        nonlocal pieces, repeated
        writer.end_video(
            name=recording.name if not pieces else f"{recording.name}@{pieces}",
            source=recording.source, view=recording.view, text=text, embodiment=recording.embodiment,
            begin_s=round((total - writer.open_frames) / form.hz, 3), source_hz=round(resampler.pace.hz, 3),
            repeated=repeated, rotated=rotated, variable=resampler.pace.variable, cut_short=cut_short,
        )  # fmt: skip
        pieces, repeated = pieces + 1, 0

    while True:
        try:
            if (moment := next(ticks, None)) is None:
                break
            if moment is not shown:
                picture = moment.picture()
                if shown is None:
                    rotated, text = round(getattr(picture, "rotation", 0)), moment.text or text
                before, content = content, form.encode(fit(picture))
            else:
                before = content
        except DataError as problem:
            error = problem
            break
        except Exception as problem:  # damaged bytes can make decoders fail in any way; whatever it is, it is named
            error = DataError(f"{type(problem).__name__}: {problem}")
            break
        if form.longest and writer.open_frames == form.longest:
            end_piece()
            writer.write(before)  # both pieces show the frame between them, so no step is lost
        repeated += moment is shown
        shown = moment
        writer.write(content)
        total += 1
    usable = pieces > 0 or writer.open_frames >= 2
    if writer.open_frames >= 2:
        end_piece(cut_short=error is not None)
    writer.drop_video()
    problem = None if error is None and usable else Problem(recording.name, *_told(error, total, usable))
    writer.end_recording(recording.name, problem)
    return problem


def _told(error: DataError | None, frames: int, usable: bool) -> tuple[str, str]:
    """Kind and reason."""
    if error is None:
        return (TOO_SHORT, "a single frame") if frames else (EMPTY, "no frame can be shown")
    if usable:
        return CUT_SHORT, f"{error}; what comes before it is used"
    if isinstance(error, NoPictureError):
        return NO_PICTURE, str(error)
    return EMPTY if isinstance(error, NoFramesError) else UNREADABLE, str(error)


def read_shard(
    root: Path, number: int, recordings: Sequence[Recording], form: Form, hear: Callable[[str, str], None]
) -> None:
    """Write or finish a shard. hear(name, what): before each recording with BEGINS, and with its outcome after it.

    Raises ShardBusyError when another process is at it.
    """
    writer = ShardWriter(root, number, form)
    try:
        fit = Fitter(form.size, form.fit)
        for recording in recordings:
            if writer.finished or recording.name in writer.done:
                hear(recording.name, THERE)
                continue
            hear(recording.name, BEGINS)
            problem = read(recording, writer, form, fit)
            hear(recording.name, problem.kind if problem else DONE)
        if not writer.finished:
            writer.finish()
    finally:
        writer.close()
