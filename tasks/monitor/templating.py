"""Flower's templates and ours, which are below `monitor/`; the tabs are put into Flower's own."""

from pathlib import Path

from tornado.template import Loader, Template

OURS = Path(__file__).parent / "templates"

NAVIGATION = "navbar.html"
"""The template of Flower's that has the tabs."""

_HEAD = "base.html"

_TABS = '      {% module Template("monitor/tabs.html", active_tab=active_tab) %}\n      </ul>'
_STYLES = (
    "    <link href=\"{{ reverse_url('monitor-static', 'monitor.css') }}\" rel=\"stylesheet\">\n"
)


class UnknownFlower(RuntimeError):
    """Flower's templates are not those that the tabs can be put into."""


class TwoFolders(Loader):
    """Finds a template among ours, then among Flower's."""

    def __init__(self, flowers: str) -> None:
        super().__init__(flowers)
        self._flowers = Path(flowers)

    def resolve_path(self, name: str, parent_path: str | None = None) -> str:  # noqa: ARG002 (tornado's)
        """Return the name as it is: all names are whole paths below one of the folders."""
        return name

    def _create_template(self, name: str) -> Template:
        ours = OURS / name
        if ours.is_file():
            return Template(ours.read_bytes(), name=name, loader=self)
        text = (self._flowers / name).read_text()
        if name == NAVIGATION:
            text = _put(text, "</ul>", _TABS)
        elif name == _HEAD:
            text = _put(text, "  </head>", f"{_STYLES}  </head>")
        return Template(text, name=name, loader=self)


def _put(text: str, place: str, new: str) -> str:
    if place not in text:
        raise UnknownFlower(f"Flower's template has no {place}; use the version in pyproject.toml")
    return text.replace(place, new, 1)
