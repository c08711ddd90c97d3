#!/usr/bin/env python3
"""Writes N frames of 1x28x28 u8 to an .npy file, the embedded digits drawn and shifted at random: frames.py N OUT"""

import gzip
import pathlib
import sys

import numpy as np

DIGITS = pathlib.Path(__file__).parent.parent / "trainer/assets/mnist/t10k-images-idx3-ubyte.gz"
AT_ONCE = 100_000


def main():
    count, out = int(sys.argv[1]), sys.argv[2]
    digits = np.frombuffer(gzip.open(DIGITS).read(), "u1", offset=16).reshape(-1, 28, 28)
    random = np.random.default_rng(0)
    with open(out, "wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, 28, 28)}
        np.lib.format.write_array_header_1_0(file, header)
        for first in range(0, count, AT_ONCE):
            part = digits[random.integers(0, len(digits), min(AT_ONCE, count - first))]
            file.write(np.roll(part, random.integers(-2, 3, 2), (1, 2)).tobytes())


main()
