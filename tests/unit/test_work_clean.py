"""What is left of a stranger's page before it is mailed."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.work.clean import clean
from tasks.work.errors import PageRefused
from tasks.work.page import Page

URL = "https://example.com/shop/list"
ALLOWED = {"alt", "colspan", "dir", "height", "lang", "rowspan", "title", "width", "href", "src"}


def html_of(body: str) -> str:
    return clean(Page(URL, "text/html", body)).html


def text_of(body: str) -> str:
    return clean(Page(URL, "text/html", body)).text


@pytest.mark.parametrize(
    "body",
    [
        *("<script>evil()</script>", "<style>evil{}</style>", "<iframe src=evil></iframe>"),
        *("<object data=evil>evil</object>", "<svg onload=evil><text>evil</text></svg>"),
        *("<math><mi>evil</mi></math>", "<template>evil</template>", "<noscript>evil</noscript>"),
        *(
            "<form action=evil><input value=evil><button>evil</button></form>",
            "<meta content=evil>",
        ),
        *("<textarea>evil</textarea>", "<select><option>evil</select>", "<link href=evil>"),
        *("<!-- evil -->", "<!--[if mso]>evil<![endif]-->", "<![CDATA[evil]]>", "<?evil ?>"),
        *("<p onclick=evil()></p>", "<p style='evil'>", "<a href='javascript:evil()'></a>"),
        *("<img src=data:evil>", "<a href=' vbscript:evil'></a>", "<video src=evil>evil</video>"),
        *(
            "<img src='x' onerror=evil>",
            "<p hidden>evil</p>",
            "<title>evil</title>",
            "<evil></evil>",
        ),
    ],
)
def test_what_could_do_harm_is_gone(body: str) -> None:
    assert "evil" not in html_of(body)


def test_content_of_unknown_elements_and_of_forms_stays() -> None:
    assert html_of("<x-card><form><p>Stay</p></form></x-card>") == "<p>Stay</p>"


def test_links_and_pictures_become_absolute() -> None:
    assert html_of('<base href="/b/"><a href="c?x=1&amp;y=2">x</a><img src=d.png alt="D">') == (
        '<a href="https://example.com/b/c?x=1&amp;y=2">x</a>'
        '<img alt="D" src="https://example.com/b/d.png">'
    )


def test_text_stays_text() -> None:
    assert html_of("1 &lt; 2 &amp; &lt;script&gt; \"'") == (
        "1 &lt; 2 &amp; &lt;script&gt; &quot;&#x27;"
    )


def test_an_attribute_cannot_end_its_quotes() -> None:
    assert html_of("""<p title='"><script>'>x</p>""") == (
        '<p title="&quot;&gt;&lt;script&gt;">x</p>'
    )


def test_the_text_keeps_blocks_lists_and_links_apart() -> None:
    body = """<h1>Title</h1><p>One  <b>two</b>\nthree</p><ul><li>a<li>b</ul>
              <a href="/x">link</a><br><img alt="A picture">"""
    assert text_of(body) == (
        "Title\n\nOne two three\n\n- a\n- b\n\nlink <https://example.com/x>\nA picture"
    )


def test_the_title_is_one_line() -> None:
    assert clean(Page(URL, "text/html", "<title> A\n&lt;b&gt; </title>")).title == "A <b>"
    assert clean(Page(URL, "text/html", "<p>x")).title == ""


def test_plain_text_becomes_one_escaped_block() -> None:
    copy = clean(Page(URL, "text/plain", "<b>\n x\n"))
    assert (copy.html, copy.text) == ("<pre>&lt;b&gt;\n x\n</pre>", "<b>\n x")


def test_a_small_page_cannot_grow_without_bounds() -> None:
    base = f"<base href='http://example.com/{'x' * 1900}/'>"
    with pytest.raises(PageRefused, match="too large for a mail"):
        html_of(base + "<a href=y>z</a>" * 5000)


def test_elements_nested_deeper_than_pythons_stack_are_copied() -> None:
    assert html_of("<div>" * 5000 + "x").count("</div>") == 5000


class Reader(HTMLParser):
    """Reads the copy with a parser of its own, and writes down what is in it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.others: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    def handle_decl(self, decl: str) -> None:
        self.others.append(decl)

    def handle_pi(self, data: str) -> None:
        self.others.append(data)

    def unknown_decl(self, data: str) -> None:
        self.others.append(data)


SCRAPS = st.sampled_from(
    (
        *("<script>", "</script>", "<style>", "</style>", "<svg>", "<math>", "<p ", "<a href="),
        *("<img src=", "onclick=", "style=", '"', "'", ">", "<", "/>", "<!--", "-->", "<![CDATA["),
        *("]]>", "<?", "<!", "javascript:", "http://x", "&lt;", "&#60;", "&quot;", "<textarea>"),
        *("<title>", "<noscript>", "<form>", "<input ", "<template>", "<plaintext>", "<xmp>"),
        *("alert(1)", "\0", "\n"),
    )
)


@given(st.lists(SCRAPS | st.text(max_size=4), max_size=40).map("".join))
def test_any_page_is_copied_with_known_elements_and_attributes_only(body: str) -> None:
    try:
        html = html_of(body)
    except PageRefused:
        return
    html.encode()
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert not reader.others
    assert not {"script", "style", "svg", "math", "form", "input", "title"} & set(reader.tags)
    for name, value in reader.attributes:
        assert name in ALLOWED
        assert name not in ("href", "src") or str(value).startswith(("http://", "https://"))
