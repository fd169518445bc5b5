"""A worker process: reads foreign bytes, predicts, and answers, one radiograph after the other.

A decoder that crashes takes this process down and nothing else. What it says of a failure names
neither a place on this machine nor a line of the program.
"""

import contextlib
import os
import queue
import signal
import threading
from datetime import date
from multiprocessing.connection import Connection

import numpy as np

from boneage.apps.groups import end_group
from boneage.apps.web.jobs import (
    AgeSource,
    Answer,
    Begun,
    Broken,
    ChildInFile,
    Facts,
    Inspect,
    Job,
    Ready,
)
from boneage.apps.web.settings import ServeSettings, debugging
from boneage.apps.web.viewing import overlay_of, picture_of
from boneage.errors import BoneAgeError, RadiographError, UnreadableError
from boneage.growth.references import MAX_AGE_MONTHS
from boneage.inference.inputs import InputFile
from boneage.inference.prediction import Prediction
from boneage.inference.predictor import Predictor, load
from boneage.inference.run import row_of
from boneage.radiographs.radiograph import Radiograph, Sex
from boneage.radiographs.readers import (
    child_in_bytes,
    file_id,
    months_between,
    read_radiograph_bytes,
)
from boneage.reports.child import ChildVisit, assess
from boneage.reports.child_report import child_report_html

__all__ = ["failed_answer", "work"]

_UNCHANGED_MONTHS = 0.06  # the page fills in tenths


def work(connection: Connection, settings: ServeSettings) -> None:
    """Answer what comes through the connection until its other end is gone.

    The first thing that goes back is a :class:`Ready` or a :class:`Broken`.
    """
    # Service managers send these to every process of a service; the server says when it ends.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "setsid"):
        os.setsid()  # so that what decodes a frame for it in a process of its own ends with it
    _leave_no_core_file()
    if not debugging():
        _be_quiet()
    # From here on, so that it ends with its server even while a decoder hangs.
    jobs = _jobs(connection)
    try:
        predictor = load(settings.model, threads=1, level=settings.level)
        _warm_up(predictor)
    except BoneAgeError as error:
        connection.send(Broken(str(error)))
        return
    connection.send(Ready(predictor.card, predictor.level, predictor.gives_heat_map))
    while True:
        job = jobs.get()
        connection.send(Begun())
        connection.send(_answer(predictor, job, settings))


def _be_quiet() -> None:
    """Drop what libraries print: they print what they do not like, values of patients included."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    os.close(nothing)


def _leave_no_core_file() -> None:
    """A crash must not leave the pixels of a patient in the working folder."""
    with contextlib.suppress(ImportError, OSError, ValueError):  # not on every system
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _warm_up(predictor: Predictor) -> None:
    """Predict once, because the first time takes ten times as long."""
    with contextlib.suppress(RadiographError):
        predictor.predict(Radiograph(np.zeros((64, 64), np.uint8)), Sex.FEMALE)


def failed_answer(job: Job, reason: str) -> Answer:
    """The answer to a radiograph that could not be worked on.

    Args:
        job: The radiograph.
        reason: A sentence about it.
    """
    error = UnreadableError(f"Cannot read {job.name}: {reason}")
    row = row_of(InputFile(job.name, file_id(job.name)), error, job.sex)
    known: AgeSource = "not known" if job.facts.age_months is None else "given"
    return Answer(ChildVisit(row, job.facts), job.norm, age_source=known)


def _jobs(connection: Connection) -> "queue.SimpleQueue[Job | Inspect]":
    """What is to be done; the process ends when no more can come."""
    jobs: queue.SimpleQueue[Job | Inspect] = queue.SimpleQueue()

    def read() -> None:
        try:
            while True:
                jobs.put(connection.recv())
        except (EOFError, OSError):
            end_group(os.getpid())  # at once: nobody is there who could take an answer
            os._exit(0)

    threading.Thread(target=read, daemon=True, name="jobs").start()
    return jobs


def _answer(
    predictor: Predictor, job: Job | Inspect, settings: ServeSettings
) -> Answer | ChildInFile:
    try:
        if isinstance(job, Inspect):
            return child_in_bytes(job.data, settings.limits.reading)
        return _judge(predictor, job, settings)
    except Exception as error:
        # Its text may hold a path of this machine, or quote the file; its type does not.
        if isinstance(job, Inspect):
            return ChildInFile()
        return failed_answer(job, f"it could not be processed ({type(error).__name__}).")


def _judge(predictor: Predictor, job: Job, settings: ServeSettings) -> Answer:
    radiograph, answer = _predicted(predictor, job, settings)
    in_file = _said_in(job, radiograph, settings)
    facts, age_source = _facts(job, in_file)
    row = row_of(InputFile(job.name, file_id(job.name)), answer, job.sex)
    visit = assess(row, facts, job.norm, predictor.level)
    prediction = answer if isinstance(answer, Prediction) else None
    heat_map = None if prediction is None else prediction.heat_map
    picture = overlay = report = None
    if radiograph is not None and job.wants.picture:
        picture = picture_of(radiograph)
    if radiograph is not None and job.wants.heat_map and heat_map is not None:
        overlay = overlay_of(radiograph, heat_map)
    if job.wants.report:
        report = child_report_html(
            row.id,
            [visit],
            visit,
            job.norm,
            predictor.card,
            level=predictor.level,
            radiograph=radiograph,
            answer=prediction,
        )
    return Answer(
        visit=visit,
        norm=job.norm,
        level=None if prediction is None else prediction.level,
        warnings=() if prediction is None else prediction.warnings,
        age_source=age_source,
        in_file=in_file,
        picture=picture,
        overlay=overlay,
        report=report,
    )


def _predicted(
    predictor: Predictor, job: Job, settings: ServeSettings
) -> tuple[Radiograph | None, Prediction | RadiographError]:
    """The radiograph, if it can be read, and what became of it."""
    try:
        radiograph = read_radiograph_bytes(job.data, job.name, limits=settings.limits.reading)
    except RadiographError as error:
        return None, error
    try:
        return radiograph, predictor.predict(radiograph, job.sex)
    except RadiographError as error:
        return radiograph, error


def _said_in(job: Job, radiograph: Radiograph | None, settings: ServeSettings) -> ChildInFile:
    """What the file says of the child; the header is read again where its day is needed."""
    if job.birth_date is not None and job.taken is None:
        return child_in_bytes(job.data, settings.limits.reading)
    if radiograph is None:
        return ChildInFile()
    return ChildInFile(radiograph.sex, radiograph.chronological_age_months)


def _facts(job: Job, in_file: ChildInFile) -> tuple[Facts, AgeSource]:
    """What is known of the child: what was given goes before what the file says."""
    given, height_cm = job.facts.age_months, job.facts.height_cm
    if given is not None:
        known = in_file.age_months
        if job.age_from_file and known is not None and abs(given - known) < _UNCHANGED_MONTHS:
            return Facts(known, height_cm), "file"
        return job.facts, "given"
    taken = job.taken or in_file.taken
    if job.birth_date is not None:
        age_months = _age(job.birth_date, taken)
        return Facts(age_months, height_cm), "not known" if age_months is None else "birth date"
    if in_file.age_months is not None:
        return Facts(in_file.age_months, height_cm), "file"
    return job.facts, "not known"


def _age(born: date, taken: date | None) -> float | None:
    """Months, unless they are no age of a child; without a day of the radiograph none is known."""
    months = None if taken is None else months_between(born, taken)
    return months if months is not None and 0 <= months <= MAX_AGE_MONTHS else None
