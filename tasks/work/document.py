"""A page as a tree, made in a time that grows with its size whatever stands in it."""

from bs4 import BeautifulSoup
from bs4.exceptions import ParserRejectedMarkup

from tasks.work.errors import PageRefused
from tasks.work.page import Page
from tasks.work.urls import absolute

MAX_TAGS = 50_000
"""Tags of a page. The parser keeps lists that it searches for each end tag, so time grows with the
square of this number: at 50,000 the worst page that was found takes some seconds."""


def parse(page: Page) -> BeautifulSoup:
    """Make a tree of an HTML page.

    Raises:
        PageRefused: when it is not HTML, or nothing that can be read as such.

    """
    if not page.is_html:
        raise PageRefused(page.url, f"it is {page.media_type}, not HTML; choose an HTML page")
    if page.text.count("<") > MAX_TAGS:
        raise PageRefused(page.url, f"it has more than {MAX_TAGS} tags; choose a simpler page")
    try:
        return BeautifulSoup(_closable(page.text), "html.parser")
    except (ParserRejectedMarkup, ValueError) as error:
        raise PageRefused(page.url, f"its HTML cannot be read ({error})") from error


def base_of(soup: BeautifulSoup, page: Page) -> str:
    """Return the URL that the page's links are relative to (WHATWG HTML, section 4.2.3)."""
    base = soup.select_one("base[href]")
    return (base and absolute(page.url, str(base["href"]))) or page.url


def _closable(text: str) -> str:
    """Change the markup that makes Python's HTML parser slow or fail, without changing its meaning.

    For each `<!--` that is never closed, and likewise for each `<` without a `>` behind it, the
    parser searches all the rest (CVE-2025-6069): 200 kB of them took more than 20 s. Such a `<`
    is text. And `<?` and `<![` begin comments in HTML, but not for this parser.
    """
    text = text.replace("<?", "<!?").replace("<![", "<! [")
    closed = text.rfind("-->") + 1
    text = text[:closed] + text[closed:].replace("<!--", "&lt;!--")
    closed = text.rfind(">") + 1
    # The line break is for Beautiful Soup, which warns when a page looks like a URL or a file name.
    return text[:closed] + text[closed:].replace("<", "&lt;") + "\n"
