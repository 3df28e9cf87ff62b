"""Checks of the exercises, a file for each lesson: `checks.check_02_1(answer)`."""

import importlib
import pkgutil

from helpers.checks.exercise import make_check

for _module in pkgutil.iter_modules(__path__):
    if _module.name.startswith("lesson_"):
        _lesson = vars(importlib.import_module(f"{__name__}.{_module.name}"))
        _judges = {name: value for name, value in _lesson.items() if name.startswith("check_")}
        globals().update({name: make_check(judge) for name, judge in _judges.items()})
