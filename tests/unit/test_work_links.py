"""Links as data: what is found, what it looks like, and what is passed over."""

import json
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.work.data_miner_job import collect
from tasks.work.document import MAX_TAGS
from tasks.work.errors import PageRefused
from tasks.work.links import Link, links
from tasks.work.page import Page

URL = "https://example.com/shop/list"


def found(html: str, selector: str = "a[href]", limit: int = 1000) -> list[Link]:
    return list(links(Page(URL, "text/html", html), selector, limit))


def test_links_come_in_the_order_of_the_page_as_absolute_urls() -> None:
    html = """<a href="/a">One</a> <p><a href=b?x=1&amp;y=2> Two\n <b>bold</b></a>
              <a href="//cdn.example/c#d"><!-- not this -->Three<script>nor this</script></a>"""
    assert found(html) == [
        {"text": "One", "href": "https://example.com/a"},
        {"text": "Two bold", "href": "https://example.com/shop/b?x=1&y=2"},
        {"text": "Three", "href": "https://cdn.example/c#d"},
    ]


def test_only_what_the_selector_names_is_found() -> None:
    html = '<nav><a href="/n">in</a></nav><a href="/o">out</a>'
    assert found(html, "nav > a") == [{"text": "in", "href": "https://example.com/n"}]


def test_links_are_relative_to_the_pages_base() -> None:
    assert found('<base href="/b/"><a href="c">x</a>')[0]["href"] == "https://example.com/b/c"


@pytest.mark.parametrize(
    "href",
    [
        *(
            "javascript:alert(1)",
            " JaVaScRiPt:alert(1)",
            "java\nscript:alert(1)",
            "data:text/html,x",
        ),
        *("mailto:a@b.example", "ftp://example.com/", "http://", "http://[", "file:///etc/passwd"),
        *("https://ann:pw@example.com/", "/" + "x" * 2000),
    ],
)
def test_what_leads_to_no_web_page_is_passed_over(href: str) -> None:
    assert found(f'<a href="{href}">x</a><a href="/y">y</a>') == [
        {"text": "y", "href": "https://example.com/y"}
    ]


def test_elements_without_a_link_are_passed_over() -> None:
    assert found("<p>x</p><a name=x>y</a>", "*") == []


def test_no_more_than_the_limit_are_found() -> None:
    html = "".join(f"<a href=/{number}>x</a>" for number in range(20))
    assert [link["href"][-1] for link in found(html, limit=3)] == ["0", "1", "2"]


def test_a_long_text_is_cut() -> None:
    assert found(f"<a href=/>{'x' * 1000}</a>")[0]["text"] == "x" * 200


@pytest.mark.parametrize(
    "selector", ["", "a[", "a::before", "@media", ":nope", "a >", "a" * 501, ":is(" * 60]
)
def test_a_bad_selector_is_refused_with_what_to_try(selector: str) -> None:
    with pytest.raises(PageRefused, match=r"selector|CSS"):
        found("<a href=/>x</a>", selector)


def test_a_page_without_html_is_refused() -> None:
    with pytest.raises(PageRefused, match="not HTML"):
        links(Page(URL, "text/plain", "<a href=/>x</a>"), "a", 10)


def test_a_page_of_too_many_tags_is_refused() -> None:
    with pytest.raises(PageRefused, match="more than 50000 tags"):
        found("<i>" * (MAX_TAGS + 1))


@pytest.mark.parametrize(
    "start",
    ["<!--", "<a b='", "<a", "<!", "<?", "<![if ", "</a ", "<!-- --", "<a b=\"'"],
)
def test_markup_that_is_never_closed_is_read_quickly(start: str) -> None:
    """Without a defence each of the first four takes minutes: pytest's time limit would tell."""
    found('<a href="/">x</a>' + start * 40_000)


def test_links_found_so_far_are_published_while_they_are_found() -> None:
    published: list[int] = []
    all_links = [{"text": str(number), "href": URL} for number in range(250)]
    assert collect(all_links, lambda so_far: published.append(len(so_far))) == all_links
    assert published == [0, 100, 200]


SCRAPS = st.sampled_from(
    (
        *("<a href='", "<a href=", "'>", "</a>", "<base href=", "<!--", "-->", "<![CDATA[", "]]>"),
        *("<?", "http://", "//", "[", "?", "#", "%", "javascript:", "&#", "&#xD800;", "\0", "\n"),
        "<script>",
    )
)


@given(st.lists(SCRAPS | st.text(max_size=5), max_size=30).map("".join))
def test_any_page_gives_web_links_that_are_json(html: str) -> None:
    try:
        result = found(html, "*")
    except PageRefused:
        return
    json.dumps(result, ensure_ascii=False).encode()
    for link in result:
        assert set(link) == {"text", "href"}
        assert urlsplit(link["href"]).scheme in ("http", "https")
        assert urlsplit(link["href"]).hostname
        assert "\n" not in link["text"] + link["href"]
