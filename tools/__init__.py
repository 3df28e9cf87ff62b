"""What a maintainer runs: `python -m tools.NAME`, from the project's folder."""
