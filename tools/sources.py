"""The sources of numbers that no output shows: `claims.toml`, each checked where it can be."""

import functools
import re
import tomllib
from dataclasses import dataclass
from pathlib import PurePosixPath

import jinja2

from helpers.files import write_text
from tools import lessons, numbers, results

FILE = lessons.ROOT / "claims.toml"
EVERYWHERE = "everywhere"
SHOWN = "claims.toml: shown"
KINDS = 'needs a source: "shown", "= …", "in FILE", "refers: …", "cited: …" or "chosen: …".'


@dataclass(frozen=True)
class Claim:
    """A piece of a page's text and where its numbers come from."""

    page: str  # or "everywhere"
    text: str
    source: str

    def __str__(self):
        return f'claims.toml [{self.page}] "{self.text}"'

    @functools.cached_property
    def pattern(self):
        """Return a pattern that finds the text with any line breaks, and no part of a number."""
        words = r"\s+".join(re.escape(word) for word in self.text.split())
        before = r"(?<!\d)(?<!\d[.,])" if self.text[0].isdigit() else ""
        after = r"(?!\d|[.,]\d)" if self.text[-1].isdigit() else ""
        return re.compile(before + words + after)


class Claims:
    """All entries of claims.toml: those that hold, and in `wrong` what is wrong with the others."""

    def __init__(self, entries):
        problems = {claim: verify(claim) for claim in entries}
        self.entries = [claim for claim, problem in problems.items() if not problem]
        self.wrong = [f"{claim}: {problem}" for claim, problem in problems.items() if problem]

    def find(self, page, text):
        """Return the places of a text for which an entry vouches: `{place: source}`."""
        return {
            place: f"claims.toml: {claim.source}"
            for claim in self.entries
            if claim.page in (name_page(page), EVERYWHERE)
            for match in claim.pattern.finditer(text)
            for place in range(*match.span())
        }

    def find_stale(self, pages):
        """Return the entries whose text stands nowhere on their page, or on none of all pages."""
        texts = {name_page(page.name): page.prose for page in pages}
        texts[EVERYWHERE] = "\n\n".join(texts.values())
        return [c for c in self.entries if not c.pattern.search(texts.get(c.page, ""))]

    def is_stale(self, page):
        """Tell whether an entry of a page stands nowhere on it."""
        name, prose = name_page(page.name), page.prose
        return any(c.page == name and not c.pattern.search(prose) for c in self.entries)


def read_claims(path=FILE):
    """Read claims.toml.

    Raises:
        SystemExit: it is not TOML; says in which line.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SystemExit(f"{path.name} cannot be read: {error}.") from None
    return Claims(Claim(page, *entry) for page, table in tables.items() for entry in table.items())


def name_page(name):
    """Return what claims.toml calls a page: a notebook's stem, or a file's path."""
    path = PurePosixPath(name)
    return path.stem if path.suffix == ".ipynb" else name


def name_table(name):
    """Return the heading of a page's table in claims.toml."""
    page = name_page(name)
    return f"[{page}]" if re.fullmatch(r"\w+", page) else f'["{page}"]'


def edit(added, stale, path=FILE):
    """Add lines to claims.toml and take entries out.

    Args:
        added: a list of `(page, line)`.
        stale: a list of `Claim`.
    """
    head, *parts = re.split(r"^(?=\[)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    tables = {}
    for heading, *lines in (part.split("\n") for part in parts):
        tables[heading] = {_read_key(line): line for line in lines if line}
    for claim in stale:
        del tables[name_table(claim.page)][claim.text]
    for page, line in added:
        table, key = tables.setdefault(name_table(page), {}), _read_key(line)
        if table.get(key, '"shown"').endswith('"shown"'):  # any other waits for its source
            table[key] = line
    texts = ["\n".join([heading, *table.values()]) for heading, table in tables.items()]
    write_text(path, head + "\n\n".join(texts) + "\n")


def _read_key(line):
    """Return the text that a line of claims.toml gives a source for."""
    return next(iter(tomllib.loads(line)), line)


def verify(claim):
    """Return what is wrong with an entry, or None."""
    kind, _, rest = claim.source.partition(" ")
    found = numbers.find_numbers(claim.text)
    if not found:
        return "has no number in it."
    if kind == "=":
        return _verify_expression(rest, found)
    if kind == "in":
        return _verify_file(rest, found)
    if claim.source == "shown":  # which tools.claims checks, as it knows the outputs
        return None
    return None if kind in ("refers:", "cited:", "chosen:") and rest.strip() else KINDS


def _verify_expression(expression, found):
    """Compare the numbers of a text with an expression's value, or with the numbers in it."""
    try:
        value = results.evaluate(expression)
    except (jinja2.TemplateError, ArithmeticError, TypeError) as error:
        return f"{expression} has no value: {error}."
    values = value if isinstance(value, list | tuple) else [value]
    literal = {number.values for number in numbers.find_shown(expression)}
    matched = [n for n in found if any(_equals(n, float(v)) for v in values)]
    others = [n.text for n in found if n not in matched and n.values not in literal]
    if not matched or others:
        return f"{', '.join(others) or 'the text'} differs from {expression} = {value}."
    return None


def _equals(number, value):
    """Tell whether a number is a value, rounded to as many decimals as it has."""
    decimals = len(number.text.partition(".")[2])
    scaled = 100 * value if number.unit == "%" else value
    return len(number.values) == 1 and abs(round(scaled, decimals) - number.values[0]) < 1e-9


def _verify_file(name, found):
    """Look for the numbers of a text in a file of the project."""
    path = lessons.ROOT / name
    if not path.is_file():
        return f"there is no file {name}."
    shown = {n.values for n in numbers.find_shown(path.read_text(encoding="utf-8"))}
    missing = [n.text for n in found if n.values not in shown]
    return f"{', '.join(missing)} does not stand in {name}." if missing else None
