"""What goes to a worker process, and what comes back.

A radiograph is a :class:`Job`; its :class:`Answer` always has a row. The header of a file alone is
an :class:`Inspect`, answered by a :class:`ChildInFile`: sex, age in months and day of the
radiograph, never who the child is. Foreign bytes are parsed in workers and nowhere else.

How a route asks::

    from boneage.apps.web.asking import ask           # waits, drops the jobs of who went away
    from boneage.apps.web.uploads import open_form

    async with open_form(request, settings.limits) as form:  # raises ProblemError: 408 to 429
        file = form.files[0]                                 # Upload: name, data; form.fields
        job = Job(file.name, file.data, sex=Sex.FEMALE, facts=Facts(age_months=120.0),
                  wants=Wants(picture=True, heat_map=True))
        (answer,) = await ask(request, engine, [job])        # raises ProblemError: 429, 503
    answer.row, answer.visit.score, answer.picture, answer.overlay, answer.report

The pictures are made in the worker by two functions of ``viewing``::

    picture_of(radiograph: Radiograph) -> Picture
    overlay_of(radiograph: Radiograph, heat_map: HeatMap) -> Overlay
"""

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from boneage.growth.sds import Norm
from boneage.inference.card import Card
from boneage.inference.rows import Row
from boneage.radiographs.radiograph import Sex
from boneage.radiographs.readers import ChildInFile
from boneage.reports.child import ChildVisit
from boneage.reports.child_request import Facts

__all__ = [
    "AgeSource",
    "Answer",
    "Begun",
    "Broken",
    "ChildInFile",
    "Facts",
    "Inspect",
    "Job",
    "Overlay",
    "Picture",
    "Ready",
    "Wants",
]

AgeSource = Literal["given", "birth date", "file", "not known"]
"""Where a chronological age comes from: as it was given; from the birth date that was given and the
day of the radiograph; from the header of the file."""


@dataclass(frozen=True)
class Wants:
    """What an answer is to hold beside its row.

    Attributes:
        picture: The radiograph for the viewer.
        heat_map: The heat map to lay over it.
        report: The page on the child.
    """

    picture: bool = False
    heat_map: bool = False
    report: bool = False


@dataclass(frozen=True)
class Job:
    """A radiograph to predict.

    Attributes:
        name: Name of the file without a folder.
        data: Its bytes.
        sex: Sex of the child; None to take what the file says. It is never assumed.
        facts: Chronological age and height. Without an age it comes from ``birth_date``, else from
            the file.
        age_from_file: The age was filled in from the header of the file, to a tenth of a month.
        birth_date: Day of birth; needs ``taken`` or a file that gives its day.
        taken: Day on which the radiograph was taken; None to take the file's.
        norm: Whose spread counts as normal.
        wants: What the answer is to hold.
        again: The page has its answer, or does not want one, and asks for a picture or a report:
            it is neither counted nor kept.
    """

    name: str = ""
    data: bytes = field(default=b"", repr=False)
    sex: Sex | None = None
    facts: Facts = field(default_factory=Facts)
    age_from_file: bool = False
    birth_date: date | None = field(default=None, repr=False)
    taken: date | None = None
    norm: Norm = Norm.BRUSH
    wants: Wants = field(default_factory=Wants)
    again: bool = False


@dataclass(frozen=True)
class Inspect:
    """A file whose header is to be asked for the child; nothing is decoded.

    Attributes:
        name: Name of the file without a folder.
        data: All of its bytes.
    """

    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Picture:
    """A radiograph for the viewer.

    Attributes:
        png: Lossless: the high byte of the 16-bit grey in red, the low byte in green.
        width_px: Width of the radiograph, before it was reduced.
        height_px: Its height.
        low: 16-bit grey that is black in the window that is shown first.
        high: 16-bit grey that is white in it.
        darkest: Lowest 16-bit grey that occurs, for the ends of sliders.
        brightest: Highest 16-bit grey that occurs.
        first: Grey value of the file that 16-bit grey 0 stands for.
        last: Grey value of the file that 16-bit grey 65535 stands for.
    """

    png: bytes = field(repr=False)
    width_px: int
    height_px: int
    low: int
    high: int
    darkest: int = 0
    brightest: int = 65535
    first: float = 0.0
    last: float = 65535.0


@dataclass(frozen=True)
class Overlay:
    """A heat map to lay over the radiograph.

    Attributes:
        png: The colours, with an alpha channel; of the radiograph's shape, perhaps reduced.
        limit_months: What the strongest colour stands for, in months a cell.
    """

    png: bytes = field(repr=False)
    limit_months: float


@dataclass(frozen=True)
class Answer:
    """What became of a radiograph.

    Attributes:
        visit: Its row, what is known of the child, and what the growth references make of it.
        norm: Whose spread the references took.
        level: Level of the interval; None if there is none.
        warnings: What a reader should know, such as a crop that was not found.
        age_source: Where the chronological age comes from.
        in_file: What the file says of the child.
        picture: The radiograph for the viewer, if it was wanted and the file can be read.
        overlay: The heat map, if it was wanted and the model gives one.
        report: The page on the child as self-contained HTML, if it was wanted.
    """

    visit: ChildVisit
    norm: Norm = Norm.BRUSH
    level: float | None = None
    warnings: tuple[str, ...] = ()
    age_source: AgeSource = "not known"
    in_file: ChildInFile = field(default_factory=ChildInFile)
    picture: Picture | None = None
    overlay: Overlay | None = None
    report: str | None = field(default=None, repr=False)

    @property
    def row(self) -> Row:
        """The row that ``boneage predict`` gives."""
        return self.visit.row


@dataclass(frozen=True)
class Ready:
    """A worker has loaded its model.

    Attributes:
        card: The card of the model.
        level: Level of the intervals; None if the model has none.
        gives_heat_map: Whether the model says what decided.
    """

    card: Card
    level: float | None
    gives_heat_map: bool


@dataclass(frozen=True)
class Broken:
    """A worker cannot load its model.

    Attributes:
        reason: Why, and what to do.
    """

    reason: str


@dataclass(frozen=True)
class Begun:
    """A worker has taken a job up: if it dies from now on, the job may be what it died of."""
