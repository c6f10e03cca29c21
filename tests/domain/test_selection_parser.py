"""Files of relevant filenames: what their lines mean (contract.md#relevant-filenames)."""

from __future__ import annotations

import re
import tracemalloc
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

from headwater.domain.errors import RelevantFilenamesInvalidError
from headwater.domain.selection import Selection
from headwater.domain.selection_parser import MAX_FILE_BYTES, MAX_PATTERNS, MAX_PREFIXES, SelectionParser


def parse(text: str | bytes, chunk: int = 1 << 20) -> Selection:
    raw = text if isinstance(text, bytes) else text.encode()
    parser = SelectionParser(".lightly/relevant.txt")
    for start in range(0, len(raw), chunk):
        parser.feed(raw[start : start + chunk])
    return parser.finish()


def selected(text: str, *keys: str) -> list[str]:
    selection = parse(text)
    return [key for key in keys if selection.selects(key)]


def names(selection: Selection) -> list[str]:
    return selection.names.part(0, len(selection.names))


def test_names_are_exact_and_listed_once() -> None:
    selection = parse("b.png\na b.png \n#c.png\nb.png\n\n   \nü/🙂%20+.png\na b.png \n")
    assert names(selection) == ["#c.png", "a b.png ", "b.png", "ü/🙂%20+.png"]
    assert selection.selects("a b.png ")
    assert not selection.selects("a b.png")
    assert selection.prefixes == []


@pytest.mark.parametrize("text", ["a.png\r\nb.png\r\n", "a.png\nb.png", "\ufeffa.png\nb.png\n", "b.png\na.png\n\n"])
@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
def test_line_ends_byte_order_marks_and_chunk_sizes_do_not_matter(text: str, chunk: int) -> None:
    assert names(parse(text, chunk)) == ["a.png", "b.png"]


def test_the_example_in_the_contract() -> None:
    keys = [f"subdir/image_{index}.png" for index in range(39, 51)] + ["subdir", "subdir2/image_1.png", "image_41.png"]
    assert selected("subdir/* subdir/image_4* !subdir/image_41.png", *keys) == [
        "subdir/image_39.png",
        "subdir/image_41.png",
        "subdir/image_50.png",
    ]


def test_a_key_is_selected_if_any_line_selects_it() -> None:
    keys = ["a/x.png", "a/y.png", "a/b/x.png", "a/b/y.png", "b/x.png"]
    assert selected("a/* *.png", *keys) == []
    assert selected("a/* *.png\na/x.png", *keys) == ["a/x.png"]
    assert selected("a/* x.png\na/* y.png", *keys) == ["a/x.png", "a/y.png", "a/b/x.png", "a/b/y.png"]
    assert selected("a/* *.png\na/b/*", *keys) == ["a/b/x.png", "a/b/y.png"]
    selection = parse("a/*\na/b/*\na/x.png\nb/x.png")
    assert (selection.prefixes, names(selection)) == (["a/"], ["b/x.png"])


@pytest.mark.parametrize(
    ("lines", "line", "said"),
    [
        ("a\n/b\n", 2, "begins with '/'"),
        ("./a", 1, "'.' or '..'"),
        ("../a", 1, "'.' or '..'"),
        ("a\n\na/../b", 3, "'.' or '..'"),
        ("a/./b", 1, "'.' or '..'"),
        ("a/..", 1, "'.' or '..'"),
        ("a\0b", 1, "NUL"),
        ("a\n/b/*", 2, "begins with '/'"),
        ("a/*.jpg", 1, "write 'a/* * !*.jpg'"),
        ("a/**", 1, "write 'a/*'"),
        ("a\na/* [z-", 2, "no gitignore pattern"),
        ("a/* ../b", 1, "'.' or '..'"),
    ],
)
@pytest.mark.parametrize("chunk", [1, 1000])
def test_an_invalid_line_is_refused_with_its_number(lines: str, line: int, said: str, chunk: int) -> None:
    with pytest.raises(RelevantFilenamesInvalidError) as refused:
        parse(lines, chunk)
    assert refused.value.message.startswith(f".lightly/relevant.txt, line {line}: ")
    assert said in refused.value.message


def test_a_line_that_is_not_utf_8_is_refused_with_its_number() -> None:
    with pytest.raises(RelevantFilenamesInvalidError, match="line 3: not UTF-8"):
        parse(b"a\nb\n\xff\xfe\n")


@pytest.mark.parametrize("prefix", ["a/", "a/im[g", "a b/", "a\\", ""])
@pytest.mark.parametrize("rest", [".jpg", "1.jpg", "_*.jpg", "*", "**.jpg", "b/*.jpg", "/1.jpg"])
def test_the_advised_line_selects_what_was_meant(prefix: str, rest: str) -> None:
    with pytest.raises(RelevantFilenamesInvalidError) as refused:
        parse(f"{prefix}*{rest}")
    advised = refused.value.message.rpartition(" write ")[2][1:-1]
    ends = ["1.jpg", "1.png", "b/2.jpg", "xb/2.jpg", "b/2.png", "c/1.jpg", "_1.jpg", "x/y_1.jpg", "mg[1.jpg"]
    keys = [*(prefix + end for end in ends), "b/1.jpg", "c/b/1.jpg"]
    parts = f"*{rest}".count("/")
    expected = [
        key
        for key in keys
        if key.startswith(prefix)
        and fnmatchcase(key[len(prefix) :], f"*{rest}")
        and (not parts or key[len(prefix) :].count("/") == parts)
    ]
    assert selected(advised, *keys) == expected


def test_the_documentation_matches_the_parser() -> None:
    page = (Path(__file__).parents[2] / "docs/listing.md").read_text().partition("## Relevant filenames")[2]
    rows = re.findall(r"^\| `(.+?)` \| `(.+?)`", page, re.MULTILINE)
    assert len(rows) == 3
    for refused, advised in rows:
        with pytest.raises(RelevantFilenamesInvalidError) as refusal:
            parse(refused)
        assert refusal.value.message.endswith(f"write '{advised}'")
    (example,) = re.findall(r"```text\n(.+?)```", page, re.DOTALL)
    assert parse(example).prefixes == ["other/", "subdir/"]
    assert f"{MAX_FILE_BYTES // 2**20} MiB" in page
    assert f"{MAX_PREFIXES:,} prefixes or {MAX_PATTERNS:,} patterns" in page


def test_a_backslash_escapes_the_next_character() -> None:
    keys = ["a/b c.png", "a/bc.png", "a/#x", "a/!x", "a/[x]", "a/\\x"]
    assert selected("a/* b\\ c.png", *keys) == keys[1:]
    assert selected("a/* \\#x \\!x \\[x] \\\\x", *keys) == keys[:2]


def test_a_character_class_matches_no_slash() -> None:
    """pathspec's `[!x]` and `[+-9]` match a slash, which git's do not."""
    assert selected("* /a[!x]b /c[+-9]d", "a/b", "ayb", "axb", "c/d", "c-d", "c1d", "cxd") == [
        "a/b",
        "axb",
        "c/d",
        "cxd",
    ]


@pytest.mark.parametrize(
    "pattern", ["*a*a*a*a*a*a*b", "*a" * 40 + "b", "*a*[ab]*?*a*b", "a***a***a***b", "**/a/**/a/b"]
)
def test_no_pattern_takes_exponential_time(pattern: str) -> None:
    """A star for every place where the one before could have ended would take longer than the age of the universe."""
    assert selected(f"* {pattern}", "a" * 1000, "a/" * 400 + "a") == ["a" * 1000, "a/" * 400 + "a"]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from(["*", "a", "b", "?", "[ab]", "/", ".", r"\*"]), min_size=1, max_size=8).map("".join),
    st.lists(st.text("ab/.*", max_size=8)),
)
def test_patterns_match_like_pathspec(pattern: str, keys: list[str]) -> None:
    try:
        selection = parse(f"* {pattern}")
    except RelevantFilenamesInvalidError:
        return
    spec = GitIgnoreSpec.from_lines([pattern], backend="simple")
    for key in keys:
        assert selection.selects(key) == (not spec.match_file(key))


_patterns = st.sampled_from(["a", "*", "b/", "/a", "a/b", "**/a", "a/**", "a/", "[ab]", "?", "a/*", "/*/b", "*b"])


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), _patterns), min_size=1, max_size=8),
    st.lists(st.lists(st.sampled_from(["a", "b", "ab", ""]), min_size=1, max_size=4).map("/".join), max_size=9),
)
def test_lists_of_patterns_match_like_pathspec(patterns: list[tuple[bool, str]], keys: list[str]) -> None:
    """Repeated patterns are dropped, and patterns are matched from the last one on: neither may change the result."""
    texts = ["!" * includes + pattern for includes, pattern in patterns]
    selection = parse("* " + " ".join(texts))
    spec = GitIgnoreSpec.from_lines(texts, backend="simple")
    for key in [*keys, "/a", "./a", "/./b", "//a"]:
        assert selection.selects(key) == (not spec.match_file(key))


def test_each_pattern_is_compiled_once_and_matched_once_for_each_key() -> None:
    """Every line that repeated a pattern compiled and matched it again: a small file took a minute for each page."""
    paused = []
    parser = SelectionParser(".lightly/relevant.txt", lambda: paused.append(1))
    lines = [f"{'a' * length}* x y x" for length in range(50)] + ["* x y x"] * 100 + ["* x z"]
    parser.feed("\n".join(lines).encode())
    selection = parser.finish()
    assert len(paused) == len("yxz")
    paused.clear()
    assert not selection.selects("a" * 60 + "/x", lambda: paused.append(1))
    assert len(paused) == len("x") + len("zx")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("".join(f"f{index}/*\n" for index in range(MAX_PREFIXES + 1)), f"line {MAX_PREFIXES + 1}: more than"),
        ("a\n" + "".join(f"* x{number} y{number}\n" for number in range(MAX_PATTERNS)), "more than 10000 patterns"),
        ("a\n" + "x" * 4097, "line 2: too long"),
        ("a\n\n* " + "x" * 70_000, "line 3: too long"),
        ("a\n" + "x" * (2**18 + 1), "line 2: too long"),
        ("a/* /**/b/**/c/**/d", "more than 2 parts"),
        ("a/* [[:alpha:]]", "no gitignore pattern"),
        ("a/* #b", "no gitignore pattern"),
    ],
)
def test_limits_and_meaningless_patterns_are_refused(text: str, said: str) -> None:
    with pytest.raises(RelevantFilenamesInvalidError) as refused:
        parse(text)
    assert said in refused.value.message
    assert len(refused.value.message) < 500


def test_unusual_names_are_accepted() -> None:
    odd = ["...", "a..b", ".a", "a.", "..a/b..", "#a", "!a", "a\\b", "[a]", "~", "a?b"]
    assert names(parse("\n".join(odd))) == sorted(odd)


@given(
    st.lists(st.text("ab/.é🙂 ", min_size=1, max_size=6), max_size=30),
    st.lists(st.text("ab/é", max_size=4), max_size=5),
    st.lists(st.text("ab/.é🙂 ", max_size=8), max_size=30),
    st.integers(1, 50),
)
def test_a_selection_is_the_union_of_its_lines(
    lines: list[str], starts: list[str], keys: list[str], chunk: int
) -> None:
    text = "\n".join([*lines, *(f"{start}*" for start in starts)])
    try:
        selection = parse(text, chunk)
    except RelevantFilenamesInvalidError:
        lines = [*lines, *starts]
        assert any(line.startswith("/") or {".", ".."} & set(line.split("/")) for line in lines)
        return
    kept = {line for line in lines if not line.isspace()}
    for key in [*keys, *lines]:
        assert selection.selects(key) == (key in kept or any(key.startswith(start) for start in starts))
    assert selection.prefixes == sorted(selection.prefixes)
    assert names(selection) == sorted(key for key in kept if not any(key.startswith(start) for start in starts))


def test_file_size_and_memory_are_bounded() -> None:
    with pytest.raises(RelevantFilenamesInvalidError, match="16 MiB"):
        parse((b"x" * 1023 + b"\n") * (MAX_FILE_BYTES // 1024) + b"x")
    lines = "".join(f"folder/image_{index:09}.png\n" for index in range(200_000)).encode()
    tracemalloc.start()
    try:
        selection = parse(lines)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(selection.names) == 200_000
    assert kept < 2 * len(lines)
    assert peak < 6 * len(lines)
