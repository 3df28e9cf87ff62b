"""Put figures of the lessons side by side for the README: `python -m tools.strip`."""

import base64
import io
import json
import re

from PIL import Image

from helpers.files import write_beside
from tools import lessons

STRIP = lessons.ROOT / ".github" / "lessons.png"
WIDTH, GAP = 1600, 16  # pixels
# Row by row: the lesson, the section, and which of its figures.
ROWS = (
    (("01", "Draw a map of the digits", 0), ("02", "Let Conv2D do it", 0)),
    (("03", "Train", 0), ("04", "Count who is taken for whom", -1), ("05", "See every mistake", 0)),
)


def read_figures(path):
    """Return the figures of a notebook: `{section: [Pillow image, …]}`."""
    figures, section = {}, ""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "markdown":
            section = (re.findall(r"^## (.+)$", "".join(cell["source"]), re.M) or [section])[-1]
        for output in cell.get("outputs", []):
            if png := output.get("data", {}).get("image/png"):
                image = Image.open(io.BytesIO(base64.b64decode("".join(png)))).convert("RGB")
                figures.setdefault(section, []).append(image)
    return figures


def draw():
    """Return the strip: rows of figures, each row as wide as the others, a Pillow image."""
    rows = []
    for row in ROWS:
        images = [read_figures(lessons.find_lesson(n).path)[name][i] for n, name, i in row]
        room = WIDTH - GAP * (len(images) - 1)
        height = round(room / sum(image.width / image.height for image in images))
        sizes = [(round(image.width * height / image.height), height) for image in images]
        rows.append([i.resize(s, Image.LANCZOS) for i, s in zip(images, sizes, strict=True)])
    total = sum(row[0].height + GAP for row in rows) - GAP
    strip, top = Image.new("RGB", (WIDTH, total), "white"), 0
    for row in rows:
        left = 0
        for image in row:
            strip.paste(image, (left, top))
            left += image.width + GAP
        top += row[0].height + GAP
    return strip


if __name__ == "__main__":
    picture = draw()
    write_beside(STRIP, lambda part: picture.save(part, format="PNG", optimize=True))
