"""What was measured, by name, for the texts that state it: `best.runs.seed_0.test.errors`."""

import functools
import json
import math
import statistics

import jinja2
from scipy import stats

from tools import lessons, scores

BENCHMARKS = lessons.ROOT / "benchmarks"
MODELS = lessons.ROOT / "models"


@functools.cache
def read_environment():
    """Return a Jinja environment that knows the results files and formats their numbers.

    Returns:
        A `jinja2.Environment`: each `models/NAME.json` by its name, `benchmarks/results.json` as
        `bench`, `benchmarks/notebooks.json` as `series`, the list of lessons as `lessons`.
    """
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {f.__name__: f for f in (percent, thousands, fixed, signed)}
    environment.globals |= {path.stem: _read(path) for path in sorted(MODELS.glob("*.json"))}
    environment.globals |= {
        "bench": _read(BENCHMARKS / "results.json"),
        "series": _read(BENCHMARKS / "notebooks.json"),
        "lessons": lessons.read_lessons(),
        "parts": lessons.read_parts(),
        "median": median,
        "mean": statistics.fmean,
        "spread": scores.spread,
        "compare": scores.compare,
        "wilson": wilson,
    }
    return environment


def read_series():
    """Return what each notebook took when it was measured: `{stem: {"seconds": …}}`."""
    return read_environment().globals["series"]["notebooks"]


def evaluate(expression):
    """Return the value of an expression over the results, such as "0.99 ** 300".

    Raises:
        jinja2.TemplateError: it cannot be read, or names something that was not measured.
    """
    value = read_environment().compile_expression(expression, undefined_to_none=False)()
    if isinstance(value, jinja2.Undefined):
        raise jinja2.UndefinedError("it was not measured")
    return value


def percent(share, decimals=2):
    """Write a share as a percentage: 0.9964 is "99.64 %"."""
    return f"{share:.{decimals}%}".replace("%", " %")


def thousands(value):
    """Write a whole number with commas."""
    return f"{value:,.0f}"


def fixed(value, decimals=0):
    """Write a number with so many decimals."""
    return f"{value:.{decimals}f}"


def signed(value, decimals=0):
    """Write a difference with its sign: 7.15 is "+7.2", and −7.15 "−7.2"."""
    return f"{value:+.{decimals}f}".replace("-", "−")


def median(values):
    """Return the median of seconds; None among them counts as never."""
    return statistics.median(math.inf if value is None else value for value in values)


def wilson(errors, n):
    """Return Wilson's 95 % interval of an accuracy."""
    ends = stats.binomtest(n - errors, n).proportion_ci(0.95, method="wilson")
    return float(ends.low), float(ends.high)


def _read(path):
    """Read a results file."""
    return json.loads(path.read_text(encoding="utf-8"))
