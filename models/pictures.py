#!/usr/bin/env python3
"""Draws models/explained.png and models/report.png with the shipped model.

    models/pictures.py TRAINER MNIST

TRAINER is the program, MNIST a folder with the four IDX files. Needs Pillow 10.1 or later (PyPI), and for the report
Chromium, named in CHROMIUM if it has another name. Look at both pictures afterwards: the parts of the report are cut
out by row.
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

MODELS = Path(__file__).resolve().parent
# Embedded digits held out, counted from 0; the shipped model never saw them.
FRAMES = {14: "an ordinary frame", 216: "a doubtful one", 1063: "a novel one"}
MAPS = ["trust", "contrast", "surprise"]
COLUMNS = [
    ("frame", "28x28, never seen\nby training"),
    ("reconstruction", "as its cluster\ndecodes it"),
    ("trust", "yellow: the model\naccounts for the pixel"),
    ("contrast", "red: for the cluster,\nblue: the runner-up"),
    ("surprise", "yellow: not what the\ncluster expects"),
]
SIDE, GAP, TEXT, HEAD, MARGIN = 168, 14, 208, 78, 18
INK, SOFT, LINE, PAPER = "#1b1f24", "#57606a", "#d0d7de", "#ffffff"
# Rows of the page in a window of this width: its head, three clusters, the latent and novelty.
WIDTH, PARTS = 1200, [(0, 312), (3168, 3664), (5884, 6536)]


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def font(size, bold=False):
    try:
        return ImageFont.truetype("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf", size)
    except OSError:
        return ImageFont.load_default(size)


def save(page, name):
    few = page.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE)
    few.save(MODELS / name, optimize=True)


def explained(trainer, scratch):
    """A row a frame: what the model says of it, the frame, its reconstruction and its three maps."""
    indices = [str(index) for index in FRAMES]
    run(trainer, "explain", MODELS / "digits", "--index", *indices, "--map", *MAPS, "--out", scratch)
    run(trainer, "predict", MODELS / "digits.onnx", "--out", scratch / "labels.csv")
    with open(scratch / "labels.csv", newline="") as file:
        rows = {int(row["index"]): row for row in csv.DictReader(file)}
    alarm = json.loads((MODELS / "digits/model.json").read_text())["novelty_threshold"]

    step = SIDE + GAP
    page = Image.new("RGB", (2 * MARGIN + TEXT + 5 * step - GAP, 2 * MARGIN + HEAD + len(FRAMES) * step - GAP), PAPER)
    draw = ImageDraw.Draw(page)
    columns = [MARGIN + TEXT + column * step for column in range(5)]
    for x, (name, meaning) in zip(columns, COLUMNS):
        draw.text((x, MARGIN), name, INK, font(17, bold=True))
        draw.multiline_text((x, MARGIN + 25), meaning, SOFT, font(14), spacing=4)
    for at, (index, kind) in enumerate(FRAMES.items()):
        y, row = MARGIN + HEAD + at * step, rows[index]
        novelty = float(row["novelty"])
        said = [
            f"cluster {row['cluster']}: {100 * float(row['confidence']):.1f} %",
            f"then {row['runner_up']}: {100 * float(row['p_' + row['runner_up']]):.1f} %",
            f"novelty {novelty:.1f} nats,",
            f"{'past' if novelty > alarm else 'below'} the alarm's {alarm:.1f}",
        ]
        draw.text((MARGIN, y + 20), kind, INK, font(17, bold=True))
        draw.multiline_text((MARGIN, y + 52), "\n".join(said), SOFT, font(15), spacing=6)
        # Five squares side by side, with gaps between.
        strip = Image.open(scratch / f"{index}.png")
        square, pitch = strip.height, (strip.width + (strip.width - 5 * strip.height) // 4) // 5
        for column, x in enumerate(columns):
            part = strip.crop((column * pitch, 0, column * pitch + square, square))
            page.paste(part.resize((SIDE, SIDE), Image.Resampling.NEAREST), (x, y))
            draw.rectangle((x - 1, y - 1, x + SIDE, y + SIDE), outline=LINE)
    save(page, "explained.png")


def report(trainer, mnist, scratch):
    """Three parts of the page, one under the other."""
    # The page names the run and the data as they are named here.
    (scratch / "models").symlink_to(MODELS)
    (scratch / "MNIST").symlink_to(mnist)
    os.chdir(scratch)
    run(trainer, "report", "models/digits", "--data", "MNIST", "--out", "report.html")
    browser = os.environ.get("CHROMIUM", "chromium")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={scratch}/profile"]
    shot = [f"--window-size={WIDTH},9000", f"--screenshot={scratch}/page.png", f"file://{scratch}/report.html"]
    run(browser, *options, *shot)
    whole = Image.open(scratch / "page.png").convert("RGB")
    page = Image.new("RGB", (WIDTH, sum(last - first for first, last in PARTS)))
    at = 0
    for first, last in PARTS:
        page.paste(whole.crop((0, first, WIDTH, last)), (0, at))
        at += last - first
    save(page, "report.png")


if __name__ == "__main__":
    program, frames = (Path(name).resolve() for name in sys.argv[1:3])
    with tempfile.TemporaryDirectory() as folder:
        explained(program, Path(folder))
        report(program, frames, Path(folder))
