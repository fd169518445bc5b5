"""From a form to its jobs: what holds for programs and for people alike."""

import dataclasses

from boneage.apps.web.jobs import Job
from boneage.apps.web.problems import ProblemError
from boneage.apps.web.uploads import Form

__all__ = ["jobs_of_form", "wrong_field"]


def jobs_of_form(form: Form, said: Job) -> list[Job]:
    """A job for each file.

    Args:
        form: The form.
        said: What holds for all files; its name and data stand for none.

    Returns:
        The jobs in order, one or more.

    Raises:
        ProblemError: 422: there is no file, or two things are said of the age.
    """
    if not form.files:
        raise wrong_field("files", "No file was chosen. Choose one or more radiographs.")
    if said.facts.age_months is not None and said.birth_date is not None:
        raise wrong_field("birth_date", "Give the age or the birth date, not both.")
    return [dataclasses.replace(said, name=file.name, data=file.data) for file in form.files]


def wrong_field(field: str, detail: str) -> ProblemError:
    """A field that is not as it must be.

    Args:
        field: Its name.
        detail: What is wrong with it.
    """
    return ProblemError(422, detail, errors=[{"field": field, "detail": detail}])
