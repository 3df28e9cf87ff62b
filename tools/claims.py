"""Say where each number in the prose comes from: `python -m tools.claims`.

A number has a source if
- `python -m tools.publish` writes it, between markers,
- it belongs to the structure: an exercise's number, its minutes, a list, the lesson of a link,
- `claims.toml` gives its source,
- or an output or the code of the same section, or of an earlier one, shows it and fits its sentence
  better than any number that differs from it in one digit, so that a slip would not go unnoticed.

`--mutate 300 --seed 0` changes one digit of one number at a time and says how often it is noticed.
`--mend` writes the lines that are missing into claims.toml, with "?" where a source is to be found.
"""

import argparse
import dataclasses
import functools
import json
import random
import re
import sys
from dataclasses import dataclass

from tools import lessons, numbers, publish, sources, texts, timetable

EXERCISE = re.compile(
    r"^### Exercise (?P<number>\d\d\.\d).*\((?P<minutes>\d+) minutes\)", re.MULTILINE
)
NAMED = re.compile(r"\b[Nn]otebooks? ((?:\d\d(?:, | and | to | or )?)+)")
CPU = r"the CPU needs (?:less than|up to) (\d+) minutes?\b"
ROW = re.compile(r"^\| \[(\d\d)\b[^\]]*\]\(\1_.+$", re.MULTILINE)


@dataclass(frozen=True)
class Finding:
    """A number of a page, with its source; without one it is None."""

    page: texts.Page
    place: int  # of its cell among those of the page
    number: numbers.Number
    source: str | None


# Rules -----------------------------------------------------------------------------------------


def check(page, claims):
    """Return a `Finding` for each number of a page."""
    return [f for place in range(len(page.cells)) for f in check_cell(page, place, claims)]


def check_cell(page, place, claims):
    """Return a `Finding` for each number of a cell of a page."""
    _, section, text = page.cells[place]
    named = name_structure(page, text)
    named |= claims.find(page.name, text)
    named |= publish.find_written(page.name, text)
    findings = []
    for number in numbers.find_numbers(text):
        source = named.get(number.start) or find_shown(page, section, number)
        if source == sources.SHOWN and not is_shown(page, section, number):
            source = None
        findings.append(Finding(page, place, number, source))
    return findings


def name_structure(page, text):
    """Return the places of the numbers of a text that belong to its structure, with a source."""
    named = {}
    for link in re.finditer(r"\[(\d\d)\b[^\]]*\]\((?:\S*/)?(\d\d)_", text):
        if link[1] == link[2]:
            named[link.start(1)] = "the link that it stands in"
    items = list(re.finditer(r"^(\d+)\. ", text, re.MULTILINE))
    if [int(item[1]) for item in items] == list(range(1, len(items) + 1)):
        named |= {item.start(1): "its place in a list" for item in items}
    words = {number.start: number.words for number in numbers.find_numbers(text)}
    for mention in NAMED.finditer(text):
        for number in re.finditer(r"\d\d", mention[1]):
            place = mention.start(1) + number.start()
            if fits_lesson(number[0], words.get(place, frozenset())):
                named[place] = f"lesson {number[0]}, which its sentence is about"
    if page.copied:
        named |= {place: "the lesson, word for word" for place in find_copied(page.copied, text)}
    elif page.lesson:
        named |= name_times(page, text) | name_map(text)
    return named


def name_times(page, text):
    """Return the places of the minutes that a lesson states, if they are those that are counted."""
    named, number = {}, page.lesson.number
    exercises = list(EXERCISE.finditer(page.prose))
    total = str(sum(int(exercise["minutes"]) for exercise in exercises))
    wanted = [f"{number}.{i}" for i in range(1, len(exercises) + 1)]
    agree = [exercise["number"] for exercise in exercises] == wanted
    agree = agree and re.findall(r"(\d+) for the exercises", page.prose) == [total]
    for match in EXERCISE.finditer(text) if agree else ():
        named[match.start("number")] = "its place among the exercises"
        named[match.start("minutes")] = "the minutes of the exercises, which add up"
    for match in re.finditer(r"(\d+) for the exercises", text) if agree else ():
        named[match.start(1)] = "the sum of the exercises' minutes"
    reading, *_, cpu = read_map().get(number, ("", ""))
    for match in re.finditer(r"(\d+) minutes to read", text):
        if match[1] == reading and abs(int(reading) - timetable.count_reading(number)) <= 3:
            named[match.start(1)] = "tools.timetable, which counts the words"
    for match in re.finditer(CPU, text):
        if match[1] == cpu:
            named[match.start(1)] = "the map in lesson 00"
    return named


@functools.cache
def read_map():
    """Return the minutes in the map of lesson 00: `{lesson: [reading, (exercises,) CPU]}`."""
    rows = ROW.finditer(timetable.read_prose("00"))
    return {row[1]: re.findall(r"\| (\d+) min\b", row[0]) for row in rows}


def name_map(text):
    """Return the places of the minutes in the map, if the lessons state the same."""
    named = {}
    for row in (row for row in ROW.finditer(text) if row[1] in describe_lessons()):
        minutes = list(re.finditer(r"\| (\d+) min\b", row[0]))
        for minute, stated in zip(minutes, timetable.state_minutes(row[1]), strict=False):
            if minute[1] == stated:
                named[row.start() + minute.start(1)] = f"lesson {row[1]}, which says the same"
    return named


def find_copied(lesson, text):
    """Return the places of numbers in paragraphs that solutions repeat from their lesson."""
    places, at = [], 0
    for paragraph in re.split(r"(\n\s*\n)", text):
        if paragraph.strip() and paragraph in lesson:
            places += range(at, at + len(paragraph))
        at += len(paragraph)
    return places


@functools.cache
def describe_lessons():
    """Return the words of each lesson's row in the list and of its headings: `{number: stems}`."""
    described = {}
    for lesson in lessons.read_lessons():
        headings = re.findall(r"^#+ .+", timetable.read_prose(lesson.number), re.MULTILINE)
        row = (lesson.title, lesson.question, lesson.able)
        described[lesson.number] = numbers.stems(" ".join([*row, *headings]))
    return described


def fits_lesson(number, words):
    """Tell whether a sentence fits the lesson that it names better than any other."""
    fits = {other: len(words & theirs) for other, theirs in describe_lessons().items()}
    mine = fits.pop(number, 0)
    return mine > max(fits.values(), default=0)


def find_shown(page, section, number):
    """Return what shows a number in a notebook, or None."""
    fit, shown = _best(page, section, number, number.values)
    rivals = (_best(page, section, number, v)[0] for v in numbers.neighbours(number.text))
    needed = 0 if len(re.findall(r"\d", number.text)) > 2 else 1
    if fit < needed or any(rival >= fit for rival in rivals):
        return None
    return f"shown with: {' '.join(sorted(shown.words & number.words)) or shown.text}"


def is_shown(page, section, number):
    """Tell whether anything in a notebook, up to a section, shows a number."""
    return _best(page, section, number, number.values)[0] >= 0


def _best(page, section, number, values):
    """Return the best fit to a sentence of what is shown, and that; a fit of -1 is none."""
    if re.fullmatch(r"0\d", number.text):  # a lesson's
        return -1, None
    shown = [
        (_fit(n, number) + (where == section), n)
        for where, n in page.evidence.get(values, ())
        if where <= section and _compatible(n.unit, number.unit)
    ]
    return max(shown, key=lambda pair: pair[0], default=(-1, None))


def _fit(shown, written):
    """Count what a number that is shown and one that is written have in common around them."""
    same = 2 * (shown.after == written.after != "")
    return len(shown.words & written.words) + len(shown.words & written.near) + same


def _compatible(shown, written):
    """Tell whether a unit may vouch for another; a percentage vouches for percentages only."""
    return shown == written or ("%" not in (shown, written) and "" in (shown, written))


# Commands --------------------------------------------------------------------------------------


def main(arguments=None):
    """List all numbers with their sources, or mutate some; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.claims", description=__doc__)
    parser.add_argument("--mutate", type=int, metavar="N", help="change N numbers, one at a time")
    parser.add_argument("--seed", type=int, default=0, help="of --mutate (0)")
    parser.add_argument("--mend", action="store_true", help="write what is missing into the file")
    options = parser.parse_args(arguments)
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")
    pages, claims = texts.read_pages(), sources.read_claims()
    if options.mutate:
        print_mutations(mutate(pages, claims, options.mutate, options.seed))
        return 0
    findings = [finding for page in pages for finding in check(page, claims)]
    advice = list(advise([finding for finding in findings if not finding.source]))
    stale = claims.find_stale(pages)
    if options.mend:
        mend(advice, stale)
        return 0
    problems = [*claims.wrong, *(what for _, what, _ in advice)]
    problems += [f"{claim}: stands nowhere there; mend or delete it." for claim in stale]
    print_findings(findings, dict.fromkeys(problems))
    return 1 if problems else 0


def print_findings(findings, problems):
    """Print the source of each number, what is to be done, and how much that is."""
    for found in findings:
        if found.source:
            cell = found.page.cells[found.place][0]
            print(f"{found.page.name} [{cell}] {found.number.text}: {found.source}")
    for problem in problems:
        print(problem)
    missing = sum(not finding.source for finding in findings)
    print(f"{len(findings)} numbers, {missing} of them without a source.")


def advise(missing):
    """Say what the numbers without a source need, those that stand close together at once.

    Yields:
        `(name of the page, what to do, line for claims.toml)`; its source is "?" if somebody has
        to find it, and the line is None where tools.publish has to write.
    """
    for group in group_missing(missing):
        page, (cell, section, text) = group[0].page, group[0].page.cells[group[0].place]
        start, end = group[0].number.start, group[-1].number.end
        if block := publish.find_block(page.name, text, start):
            yield page.name, f"{page.name}, block {block}: run python -m tools.publish", None
            continue
        source = "shown" if all(is_shown(page, section, f.number) for f in group) else "?"
        source = "cited: the work itself" if "## Further reading" in text[:start] else source
        words = json.dumps(quote(text, start, end), ensure_ascii=False)  # TOML reads it too
        line = f'{words} = "{source}"'
        yield (
            page.name,
            f"{page.name}, cell {cell}: {', '.join(f.number.text for f in group)}: no source. Show "
            f"it in an output, or add to claims.toml under {sources.name_table(page.name)}:\n"
            f"  {line}",
            line,
        )


def mend(advice, stale):
    """Add the lines that are missing to claims.toml, and take out those that stand nowhere."""
    lines = [(page, line) for page, _, line in advice if line]
    sources.edit(lines, stale)
    unknown = sum(line.endswith('"?"') for _, line in lines)
    print(f"claims.toml: {len(lines)} added, {len(stale)} taken out; {unknown} need a source.")


def group_missing(missing):
    """Put the findings together that stand close to each other in a cell, a list of lists."""
    groups = []
    for finding in missing:
        last = groups[-1][-1] if groups else finding
        text = finding.page.cells[finding.place][2]
        between = text[last.number.end : finding.number.start]
        together = (last.page.name, last.place) == (finding.page.name, finding.place)
        if groups and together and re.fullmatch(r"[^|.!?]{0,30}", between):
            groups[-1].append(finding)
        else:
            groups.append([finding])
    return groups


def quote(text, start, end):
    """Return a part of a text with a few words around it, to be found again by."""
    for letter in (r"[^\s|]", r"\S"):  # out of a table's cell only if there is nothing else in it
        before = re.search(rf"(?:(?<!\S){letter}+[ \n]+){{0,2}}(?<!\S){letter}*\Z", text[:start])
        after = re.match(rf"{letter}*(?:[ \n]+{letter}+){{0,2}}", text[end:])
        words = f"{before[0] if before else ''}{text[start:end]}{after[0].rstrip('.,:;?!*)')}"
        if re.search(r"[A-Za-z]{2}", words):
            break
    return " ".join(words.split())


def mutate(pages, claims, times, seed):
    """Change one digit of one number of all at a time.

    Returns:
        A list of `(page, cell, number, its changed text, whether it was noticed)`.
    """
    chance = random.Random(seed)
    everything = [
        (page, i, number)
        for page in pages
        for i, (_, _, text) in enumerate(page.cells)
        for number in numbers.find_numbers(text)
    ]
    tried = []
    for page, i, number in chance.sample(everything, min(times, len(everything))):
        changed = chance.choice(numbers.change_digit(number.text))
        cell, section, text = page.cells[i]
        text = text[: number.start] + changed + text[number.end :]
        cells = [*page.cells[:i], (cell, section, text), *page.cells[i + 1 :]]
        other = dataclasses.replace(page, cells=cells)
        noticed = not all(finding.source for finding in check_cell(other, i, claims))
        tried.append((page.name, cell, number, changed, noticed or claims.is_stale(other)))
    return tried


def print_mutations(tried):
    """Print which changed digits were not noticed, and how many were."""
    for page, cell, number, changed, noticed in tried:
        if not noticed:
            print(f"{page}, cell {cell}: {number.text} as {changed} was not noticed.")
    print(f"{sum(noticed for *_, noticed in tried)} of {len(tried)} changed digits were noticed.")


if __name__ == "__main__":
    sys.exit(main())
