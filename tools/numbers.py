"""Find the numbers in a text: their value, their unit and the words around them."""

import dataclasses
import functools
import itertools
import re
from dataclasses import dataclass

DIGITS = r"\d{1,3}(?:[,_]\d{3})+(?:\.\d+)?|\d+\.\d+(?:\.\d+)*|\d+"
START = r"(?<![\w.,])(?<![A-Za-z]-)"  # neither within a name, such as conv2d_1, nor within a number
NUMBER = re.compile(rf"{START}(?:{DIGITS})(?:e[+-]?\d+)?(?![\d_])")
SHAPE = re.compile(rf"{START}(?:{DIGITS})(?: ?[×x·] ?(?:{DIGITS}))+(?!\w|[.,]\d)|\b\d+:\d\d\b")
# The unit may follow later, as in "from 1.5 to 2 s".
LATER = rf"(?:\s?(?:,|–|and|or|to|until)\s?(?:{DIGITS}))*[ \n-]?"
UNITS = {
    "%": re.compile(rf"{LATER}(?:%|per cent)"),
    "time": re.compile(rf"{LATER}(?:s|ms|min|minutes?|seconds?|hours?|days?)\b"),
    "bytes": re.compile(rf"{LATER}(?:kB|KB|MB|GB|bytes?|megabytes)\b"),
    "times": re.compile(rf"{LATER}(?:×|times\b)"),
}
NOT_PROSE = re.compile(
    r"^(```|~~~).*?^\1|`[^`\n]*`|\]\([^)\s]*\)|<!--.*?-->|<[^>\n]*>|https?:[^\s)]+|(?:arXiv|doi):\S+",
    re.MULTILINE | re.DOTALL,
)
SENTENCE = re.compile(r"(?<=[.!?:;])[\s*]+(?=[^a-z])|\n(?=\||[-*] |\d+\. |#)|\n\s*\n")
COMMON = {"this", "that", "with", "from", "have", "they", "their", "what", "which", "into", "each"}


@dataclass(frozen=True)
class Number:
    """A number as it is written, `text`, at `start` of a text."""

    text: str
    start: int
    unit: str  # a key of UNITS, or ""
    after: str  # the stem of the word that follows
    words: frozenset  # the stems of its sentence
    near: frozenset  # those within 30 characters

    @property
    def end(self):
        """Return the place after its last character."""
        return self.start + len(self.text)

    @property
    def values(self):
        """Return its value as a tuple, with more than one member for a shape."""
        return value_of(self.text)


@functools.cache
def value_of(text):
    """Return what digits stand for: "1,000" is (1000.0,), "28 × 28" is (28.0, 28.0)."""
    parts = re.findall(rf"(?:{DIGITS})(?:e[+-]?\d+)?", text)
    plain = (re.sub(r"[,_]", "", part) for part in parts)
    return tuple(float(p) if p.count(".") < 2 else hash(p) for p in plain)


def stems(text):
    """Return the beginnings of the longer words of a text, names of code taken apart."""
    words = re.findall(r"[A-Za-z]{3,}", re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", text))
    return frozenset(word.lower()[:5] for word in words if word.lower() not in COMMON)


@functools.cache
def find_numbers(markdown):
    """Return the numbers of the prose of a Markdown text, in order, a list of `Number`."""
    blank = NOT_PROSE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), markdown)  # as long
    return _find(blank, SENTENCE, markdown)


def find_shown(text):
    """Return the numbers of code or an output; each line is a sentence, "3, 3" a shape too."""
    found = _find(text, re.compile(r"\n"), text)
    shapes = [
        dataclasses.replace(first, text=f"{first.text} × {second.text}", after=second.after)
        for first, second in itertools.pairwise(found)
        if text[first.end : second.start] == ", "
    ]
    return [*found, *shapes]


def _find(text, separator, original):
    """Find numbers, with what stands around them."""
    found, begin = [], 0
    for end in [*(match.start() for match in separator.finditer(text)), len(text)]:
        sentence = stems(original[begin:end])
        shapes = list(SHAPE.finditer(text, begin, end))
        singles = [
            match
            for match in NUMBER.finditer(text, begin, end)
            if not any(s.start() < match.end() and match.start() < s.end() for s in shapes)
        ]
        for match in shapes + singles:
            after = re.match(r"[^\w\n]{0,3}([A-Za-z]{3,})", text[match.end() : end])
            stem = after[1].lower()[:5] if after else ""
            around = original[max(begin, match.start() - 30) : min(end, match.end() + 30)]
            unit, near = _unit(text, match.end()), stems(around) & sentence
            found.append(Number(match[0], match.start(), unit, stem, sentence, near))
        begin = end
    return sorted(found, key=lambda number: number.start)


def _unit(text, end):
    """Return the unit that follows a number."""
    return next((name for name, pattern in UNITS.items() if pattern.match(text, end)), "")


def change_digit(text):
    """Return what a number may be when one of its digits is another, a list of texts."""
    return [
        text[:i] + digit + text[i + 1 :]
        for i, character in enumerate(text)
        if character.isdigit()
        for digit in "0123456789"
        if digit != character
    ]


@functools.cache
def neighbours(text):
    """Return the values that a number has when one of its digits is another, a set of tuples."""
    return {value_of(changed) for changed in change_digit(text)} - {value_of(text)}
