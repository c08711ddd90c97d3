#!/usr/bin/env python3
"""Sound to cluster: WAV files of one kind each, in a folder a kind.

    benches/sound.py synthetic FOLDER [--rate 16000] [--each 12] [--seed 0]
    benches/sound.py digits FOLDER [--rate 16000] [--voices 12] [--seed 0]

`synthetic` makes six kinds, four seconds a file, at levels 12 dB apart and over noise: hums with overtones, warbles, sweeps
up, sweeps down, clicks, hisses, each of any pitch and pace. `digits` has espeak-ng, which must be installed, say ten digits
in English voices at several pitches and paces. The same seed makes the same files. Then

    trainer fit --data FOLDER --window 1s --hop 500ms --label '{}/*.wav' --set clusters=6 --out RUN
    trainer eval RUN --data FOLDER --label '{}/*.wav'
    trainer compare RUN --data FOLDER --label '{}/*.wav'

Needs numpy.
"""

import argparse
import subprocess
import wave
from pathlib import Path

import numpy as np

SECONDS = 4
SPOKEN = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
SPEAKERS = ["en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-029", "en-gb-x-gbcwmd", "en-us-nyc", "en-gb-x-gbclan"]
SHADES = ["", "+m3", "+f2", "+m7", "+f4", "+croak"]


def write(path, samples, rate):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def kinds(rng, rate):
    """One file of every kind, all of unit power."""
    t = np.arange(SECONDS * rate) / rate
    top = min(rate / 2, 8000)
    low, pace = rng.uniform(100, 400), rng.uniform(1.5, 4)
    ramp = (t * pace + rng.uniform()) % 1
    sweep = lambda share: np.sin(2 * np.pi * np.cumsum(300 * (0.4 * top / 300) ** share) / rate)
    overtones = sum(np.sin(2 * np.pi * low * k * t + rng.uniform(0, 6)) / k for k in range(1, 6))
    warble = np.sin(2 * np.pi * rng.uniform(500, 1500) * t) * (1 + np.sin(2 * np.pi * rng.uniform(4, 9) * t))
    ring = np.exp(-((t * 2 * pace + rng.uniform()) % 1) / (2 * pace) / 0.004)
    noise = rng.normal(size=t.size)
    spectrum = np.fft.rfft(rng.normal(size=t.size))
    hertz, centre = np.fft.rfftfreq(t.size, 1 / rate), rng.uniform(0.3, 0.7) * top
    hiss = np.fft.irfft(spectrum * np.exp(-(((hertz - centre) / (0.15 * top)) ** 2)), t.size)
    found = dict(hum=overtones, warble=warble, up=sweep(ramp), down=sweep(1 - ramp), clicks=ring * noise, hiss=hiss)
    return {name: samples / np.sqrt(np.mean(samples**2)) for name, samples in found.items()}


def synthetic(folder, rate, each, seed):
    for n in range(each):
        rng = np.random.default_rng([seed, n])
        for name, samples in kinds(rng, rate).items():
            level, noise = 0.1 * 10 ** rng.uniform(-0.6, 0), rng.normal(size=samples.size)
            write(folder / name / f"{n:03}.wav", level * (samples + 0.1 * noise), rate)


def digits(folder, rate, voices, seed):
    rng = np.random.default_rng(seed)
    for voice in range(voices):
        speaker = SPEAKERS[voice % len(SPEAKERS)] + SHADES[voice // len(SPEAKERS) % len(SHADES)]
        for n in range(4):
            pitch, pace = rng.integers(30, 71), rng.integers(130, 201)
            for digit, word in enumerate(SPOKEN):
                said = ["espeak-ng", "-v", speaker, "-p", str(pitch), "-s", str(pace), "--stdout", word]
                data = subprocess.run(said, check=True, capture_output=True).stdout
                spoken = np.frombuffer(data[44:], "<i2") / 32768
                # espeak speaks at 22,050 Hz.
                at = np.arange(int(spoken.size * rate / 22050)) * 22050 / rate
                spoken = np.interp(at, np.arange(spoken.size), spoken)
                samples = 1e-3 * rng.normal(size=int(0.8 * rate))
                begin = rng.integers(0, max(1, samples.size - spoken.size))
                spoken = spoken[: samples.size - begin]
                samples[begin : begin + spoken.size] += 0.5 * spoken
                write(folder / str(digit) / f"{voice:02}-{n}.wav", samples, rate)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["synthetic", "digits"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rate", type=int, default=16000)
    parser.add_argument("--each", type=int, default=12)
    parser.add_argument("--voices", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.what == "synthetic":
        synthetic(args.folder, args.rate, args.each, args.seed)
    else:
        digits(args.folder, args.rate, args.voices, args.seed)


if __name__ == "__main__":
    main()
