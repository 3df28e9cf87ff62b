"""What a maintainer runs: `python -m tools.NAME`, from the project's folder."""

from helpers import preflight

preflight.choose_settings()  # before any of them imports Keras
