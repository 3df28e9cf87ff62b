"""Images that are no digits, to train with and to fit doubt by: letters, signs, parts, noise.

Notebook 08 makes its own, of other fonts, characters and kinds: what is learned from must not be
what it is judged by.
"""

import string

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from helpers import digits

FONTS = (
    "DejaVuSans", "DejaVuSans-Oblique", "DejaVuSerif", "DejaVuSerif-Italic", "DejaVuSansMono",
)  # fmt: skip
# Without those that some hand writes as it writes a digit.
LETTERS = "".join(c for c in string.ascii_letters if c not in "BIOSZbgiloqsz")
SIGNS = (
    "БДЖЗИЙЛФЦЧШЩЪЫЭЮЯбвджийклмнптфцшщыэюя"
    "ԱԲԳԴԵԶԷԸԹԺԽԾԿՀՁՂՃՄՅՇՉՊՋՌՎՏՐՑՔ"
    "აბგდევთიკლმნპჟრსტფქღყჩცძწჭხჯჰ"
    "&@#%?!+=*~<>{}$§√∞∂∫≠≤±"
)
GRID = np.stack(np.meshgrid(np.arange(28.0), np.arange(28.0), indexing="ij"))


def draw_character(character, font):
    """Draw a character in ink on paper: bool `(rows, columns)`, large."""
    path = f"{matplotlib.get_data_path()}/fonts/ttf/{font}.ttf"
    page = Image.new("L", (120, 120))
    draw = ImageDraw.Draw(page)
    draw.text((60, 60), character, 255, ImageFont.truetype(path, 56), anchor="mm")
    return np.asarray(page) > 127


def slant(mask, random):
    """Turn, slant and squeeze a drawing, as a hand would."""
    angle, shear = random.normal(0, 0.15), random.normal(0, 0.2)
    turn = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix = np.diag(np.exp(random.normal(0, 0.15, 2))) @ turn @ [[1, 0], [shear, 1]]
    centre = np.array(mask.shape) / 2
    return ndimage.affine_transform(mask.astype("float32"), matrix, centre - matrix @ centre) > 0.5


def bend(image, random, amount=1.2):
    """Bend an image smoothly by about `amount` pixels: float `(28, 28)`."""
    field = ndimage.gaussian_filter(random.normal(size=(2, 28, 28)), (0, 5, 5))
    field *= amount / field.std()
    return ndimage.map_coordinates(image, GRID + field, order=1)


def draw_from(characters, random):
    """Draw one of the characters in one of the fonts, prepared as MNIST's digits were."""
    character = characters[random.integers(len(characters))]
    mask = slant(draw_character(character, FONTS[random.integers(len(FONTS))]), random)
    return bend(digits.prepare(mask), random)


def invent(random):
    """Draw a character that no alphabet has: a few curved strokes."""
    page = Image.new("L", (120, 120))
    draw = ImageDraw.Draw(page)
    t = np.linspace(0, 1, 30)[:, np.newaxis]
    for _ in range(random.integers(2, 5)):
        a, b, c, d = random.uniform(15, 105, (4, 1, 2))
        b, c = (a + random.uniform(0.2, 1) * (p - a) for p in (b, c))
        curve = a * (1 - t) ** 3 + 3 * b * t * (1 - t) ** 2 + 3 * c * t**2 * (1 - t) + d * t**3
        draw.line([tuple(p) for p in curve], 255, 8, "curve")
    return digits.prepare(np.asarray(page) > 127).astype("float32")


def print_digits(n, random):
    """Print digits in the fonts of the letters, so that doubt cannot tell by the font alone."""
    labels = random.integers(10, size=n)
    return np.stack([draw_from(str(label), random) for label in labels]), labels


def choose(images, random):
    """Choose one image at random: float32 `(28, 28)`."""
    return images[random.integers(len(images))].astype("float32")


def choose_of(images, labels, random, classes):
    """Choose one image of some classes at random: float32 `(28, 28)`."""
    return images[random.choice(np.flatnonzero(np.isin(labels, classes)))].astype("float32")


def mirror(images, labels, random):
    """Mirror a 3, 4, 6, 7 or 9."""
    return choose_of(images, labels, random, (3, 4, 6, 7, 9))[:, ::-1]


def lay_down(images, labels, random):
    """Lay a 2, 3, 4, 5 or 7 on its side."""
    turns = random.choice([1, 3])
    return np.rot90(choose_of(images, labels, random, (2, 3, 4, 5, 7)), turns)


def swap_halves(images, random):
    """Put the lower half of a digit above its upper half."""
    return np.roll(choose(images, random), 14, axis=random.integers(2))


def overlay(images, random):
    """Write two digits over each other, a few pixels apart."""
    one, two = (choose(images, random) for _ in "12")
    shift = random.integers(-6, 7, 2)
    return np.maximum(one, np.roll(two, shift, axis=(0, 1)))


def squeeze_two(images, random):
    """Write two digits side by side, each half as wide."""
    pair = (choose(images, random)[:, 4:24] for _ in "12")
    return np.hstack([ndimage.zoom(image, (1, 0.7), order=1) for image in pair])


def cloud(random):
    """Return noise of any coarseness, at any contrast, on any paper."""
    noise = ndimage.gaussian_filter(random.normal(size=(28, 28)), random.uniform(0, 4))
    noise *= random.uniform(0.05, 0.4) / noise.std()
    return 255 * np.clip(random.uniform(0, 1) + noise, 0, 1)


def blank(random):
    """Return an empty page: any grey, even or unevenly lit."""
    ramp = np.tensordot(random.normal(0, 1, 2) * random.choice([0, 4]), (GRID - 13.5) / 13.5, 1)
    return np.clip(random.uniform(0, 256) + 10 * ramp, 0, 255)


def specks(random):
    """Return a page with specks of one to three pixels, few or many."""
    size = random.integers(1, 4)
    small = random.random((28, 28)) * (random.random((28, 28)) < random.uniform(0.01, 0.4))
    return 255 * ndimage.grey_dilation(small, (size, size))


def prepare_again(image, random):
    """Prepare an MNIST digit once more, slanted and bent, as a person's own digit would be."""
    large = ndimage.zoom(image.astype("float32"), 4, order=1) > 127
    return bend(digits.prepare(slant(large, random)), random, random.uniform(0, 1))


# How each kind is made, from digits, their labels and a random generator; and how many.
KINDS = {
    "letters": (lambda x, y, r: draw_from(LETTERS, r), 2_000),
    "signs": (lambda x, y, r: draw_from(SIGNS, r), 1_500),
    "invented characters": (lambda x, y, r: invent(r), 1_500),
    "mirrored digits": (mirror, 800),
    "digits lying down": (lay_down, 800),
    "halves swapped": (lambda x, y, r: swap_halves(x, r), 800),
    "digits over each other": (lambda x, y, r: overlay(x, r), 800),
    "two squeezed digits": (lambda x, y, r: squeeze_two(x, r), 800),
    "clouds": (lambda x, y, r: cloud(r), 800),
    "specks": (lambda x, y, r: specks(r), 800),
    "blank": (lambda x, y, r: blank(r), 800),
}


def repeat(make, n, *given):
    """Make n images: uint8 `(n, 28, 28)`."""
    return np.stack([np.clip(make(*given), 0, 255) for _ in range(n)]).round().astype("uint8")


def make_pool(images, labels, seed=1):
    """Make twice as many of each kind as doubt is fitted on, to train with.

    Args:
        images, labels: training digits; the first 30,000 are used.
        seed: of what is drawn.

    Returns:
        uint8 `(n, 28, 28)`.
    """
    random, source = np.random.default_rng(seed), (images[:30_000], labels[:30_000])
    parts = [repeat(make, 2 * n, *source, random) for make, n in KINDS.values()]
    return np.concatenate(parts)
