"""Checks of the exercises, a file for each lesson: `checks.check_02_1(answer)`."""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    if _module.name.startswith("lesson_"):
        _lesson = importlib.import_module(f"{__name__}.{_module.name}")
        globals().update({n: f for n, f in vars(_lesson).items() if n.startswith("check_")})
