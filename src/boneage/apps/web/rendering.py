"""From a template and its variables to HTML; whatever is put in is escaped."""

from collections.abc import Callable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from boneage.reports.child_words import RESEARCH_ONLY

__all__ = ["Render", "renderer"]

Render = Callable[..., str]

_NO_DECISION = "No decision on a patient may rest on it."


def renderer() -> Render:
    """What makes HTML of a template's name and its variables.

    A variable that a template needs and does not get is an error, and so is a template that is not
    there: both are faults of this program.
    """
    templates = Environment(
        loader=PackageLoader("boneage.apps.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    always = {"research_only": RESEARCH_ONLY, "no_decision": _NO_DECISION, "model": None}

    def render(name: str, **values: Any) -> str:
        return templates.get_template(name).render(always | values)

    return render
