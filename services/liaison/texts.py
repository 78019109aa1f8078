"""The words of notices: templates filled in with jinja2. A value that a template names and nobody gave is an error."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from services.liaison.domain.context import Pair, Texts

if TYPE_CHECKING:
    from jinja2 import Template

_SUBJECT = "subject"


class Renderer:
    """Fills in the templates of this service; each has a block `zh` and a block `en`."""

    def __init__(self) -> None:
        self._environment = environment(autoescape=False)
        self._template = cache(lambda name: self._environment.get_template(f"{name}.j2"))

    def render(self, template: str, values: Mapping[str, object]) -> Texts:
        """Subject line and text of a notice.

        Raises:
            jinja2.TemplateNotFound: no such template.
            jinja2.UndefinedError: the template names what is not among the values.
        """
        given = dict(values)
        return Texts(_both(self._template(_SUBJECT), given), _both(self._template(template), given))


def environment(*, autoescape: bool) -> Environment:
    """Templates of this service; `autoescape` for HTML."""
    return Environment(
        loader=PackageLoader("services.liaison"),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _both(template: Template, values: dict[str, object]) -> Pair:
    context = template.new_context(values)
    zh, en = ("".join(template.blocks[name](context)).strip() for name in ("zh", "en"))
    return Pair(zh, en)
