"""The sources of numbers that no output shows: `claims.toml`, each checked where it can be."""

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
EXERCISE = r"^### Exercise (?P<number>\d\d\.\d).*\((?P<minutes>\d+) minutes\)"
KINDS = 'needs a source: "shown", "= …", "in FILE", "refers: …", "cited: …" or "chosen: …".'


@dataclass(frozen=True)
class Claim:
    """A piece of a page's text and where its numbers come from."""

    page: str  # or "everywhere"
    text: str
    source: str

    @property
    def pattern(self):
        """Return a pattern that finds the text with any line breaks, and no part of a number."""
        words = r"\s+".join(re.escape(word) for word in self.text.split())
        before = r"(?<!\d)(?<!\d[.,])" if self.text[0].isdigit() else ""
        after = r"(?!\d|[.,]\d)" if self.text[-1].isdigit() else ""
        return re.compile(before + words + after)


class Claims:
    """All entries of claims.toml."""

    def __init__(self, entries):
        """Keep those that hold; `wrong` says what is wrong with the others."""
        self.patterns, self.wrong = {}, []
        for claim in entries:
            if problem := verify(claim):
                self.wrong.append(f'claims.toml [{claim.page}] "{claim.text}": {problem}')
            else:
                self.patterns.setdefault(claim.page, []).append((claim, claim.pattern))

    def find(self, page, text):
        """Return the places of a text for which an entry vouches: `[(place, source), …]`."""
        entries = [*self.patterns.get(name_page(page), []), *self.patterns.get(EVERYWHERE, [])]
        return [
            (place, f"claims.toml: {claim.source}")
            for claim, pattern in entries
            for match in pattern.finditer(text)
            for place in range(*match.span())
        ]

    def list_stale(self, pages):
        """Return the entries whose text stands on none of these pages."""
        texts = {name_page(p.name): "\n\n".join(text for _, _, text in p.cells) for p in pages}
        texts[EVERYWHERE] = "\n\n".join(texts.values())
        return [
            claim
            for page, entries in self.patterns.items()
            for claim, pattern in entries
            if not pattern.search(texts.get(page, ""))
        ]

    def find_stale(self, pages):
        """Say which entries stand on none of these pages."""
        return [
            f'claims.toml [{claim.page}] "{claim.text}": stands nowhere there; mend or delete it.'
            for claim in self.list_stale(pages)
        ]

    def is_stale(self, page):
        """Tell whether an entry of a page stands nowhere on it."""
        text = "\n\n".join(text for _, _, text in page.cells)
        return not all(p.search(text) for _, p in self.patterns.get(name_page(page.name), ()))


def read_claims(path=FILE):
    """Read claims.toml.

    Raises:
        SystemExit: it is not TOML; says in which line.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SystemExit(f"{path.name} cannot be read: {error}.") from None
    return Claims(
        Claim(page, text, source) for page in tables for text, source in tables[page].items()
    )


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

    Returns:
        How many lines were taken out.
    """
    gone = {(name_table(claim.page), claim.text) for claim in stale}
    waiting, table, out = {}, "", []
    for page, line in added:
        waiting.setdefault(name_table(page), {})[next(iter(tomllib.loads(line)))] = line
    for line in path.read_text(encoding="utf-8").splitlines():
        table = line if line.startswith("[") else table
        key = next(iter(tomllib.loads(line))) if re.match(r"[\"']", line) else None
        better = waiting.get(table, {}).pop(key, line)  # it may be there, and wait for its source
        if (table, key) not in gone:
            out.append(better if line.endswith('"shown"') else line)
    for heading, rest in waiting.items():
        if heading not in out:
            out += ["", heading]
        place = out.index(heading) + 1
        out[place:place] = rest.values()
    write_text(path, "\n".join(out) + "\n")
    return len(gone)


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
