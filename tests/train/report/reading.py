"""A report as a test reads it, and figures that nobody looks at."""

import contextlib
import html.parser

import pytest

VOID = {"meta", "img", "source", "br"}


class Read(html.parser.HTMLParser):
    """The page as text, tags and addresses; refuses tags that do not close in order."""

    def __init__(self, page):
        super().__init__()
        self.source = page.decode() if isinstance(page, bytes) else page
        self.text, self.tags, self.addresses, self.open = "", [], [], []
        self.feed(self.source)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.addresses += [value for name, value in attrs if name in ("src", "srcset", "href", "action", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data.replace("\u202f", "") if "style" not in self.open else ""


@contextlib.contextmanager
def undrawn():
    """Figures are composed but not drawn, which takes most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("matplotlib.figure.Figure.savefig", lambda *_, **__: None)
        yield
