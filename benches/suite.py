#!/usr/bin/env python3
"""The trainer with its defaults on many data sets, beside other ways to cluster them. Nothing is set but the number of
clusters and the seed; a label only scores, one-to-one.

    benches/suite.py TRAINER [--mnist DIR] [--watch DIR] [--sets a,b] [--methods a,b] [--seeds 5] [--jobs 1]
                     [--steps 20000] [--cache FILE.json [--cached]] [--out FOLDER]

Sets of more than 1000 frames are scored on frames that no method was fitted on, smaller ones on those it was. The
cache holds every finished set, method and seed (the trainer's by its hash), so that a run that broke off goes on; it
does not know --steps, which the table tells. Writes suite.json and suite.md to --out. Needs benches/requirements.txt.
"""

import argparse
import csv
import fcntl
import gzip
import hashlib
import importlib.util
import json
import os
import subprocess
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import redirect_stderr, redirect_stdout
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

# A core for each fit, the trainer's included; jobs are what runs at once.
for threads in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS"]:
    os.environ.setdefault(threads, "1")

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata
from sklearn import datasets
from sklearn.cluster import KMeans, SpectralClustering
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import minmax_scale, StandardScaler

# ---- Data sets: frames to fit, frames to score, the labels of those ----


class Data(NamedTuple):
    kind: str  # rows [N,F], images [N,H,W] or [N,C,H,W] in u8 or [0,1], windows [N,C,1,W]
    k: int
    fit: np.ndarray
    score: np.ndarray
    labels: np.ndarray
    # Words that give the trainer the recordings behind the windows: those to fit, and those to score.
    recordings: tuple = ()


SETS, NOTES = {}, {}


def dataset(name, needs=None, note=""):
    """Registers a set; `needs` is the option without which it is left out. Its numbers are always drawn alike."""

    def register(function):
        SETS[name] = (needs, lambda folder: function(np.random.default_rng(0), *([folder] if needs else [])))
        NOTES[name] = note
        return function

    return register


def whole(kind, k, x, y):
    return Data(kind, k, x, x, y)


def parted(rng, kind, k, x, y, fitted):
    order = rng.permutation(len(x))
    fit, score = order[:fitted], order[fitted:]
    return Data(kind, k, x[fit], x[score], y[score])


def blobs(rng, sizes, centres):
    """Normal clouds of deviation 1."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    order = rng.permutation(len(labels))
    x = np.asarray(centres)[labels] + rng.standard_normal((len(labels), len(centres[0])))
    return x[order], labels[order]


def centres(rng, k, features, apart=8.0):
    """Centres drawn in a box, no two of them nearer than `apart`."""
    while True:
        found = rng.uniform(-10, 10, (k, features))
        distances = np.linalg.norm(found[:, None] - found, axis=2)[np.triu_indices(k, 1)]
        if distances.min() >= apart:
            return found


def drawn_twice(rng, sizes, features):
    """Unbalanced clouds; the frames to score are a second draw of as many."""
    middle = centres(rng, len(sizes), features)
    (fit, _), (score, labels) = blobs(rng, sizes, middle), blobs(rng, sizes, middle)
    return Data("rows", len(sizes), fit, score, labels)


@dataset("iris")
def iris(_):
    return whole("rows", 3, *datasets.load_iris(return_X_y=True))


@dataset("iris-1e-9")
def iris_tiny(_):
    x, y = datasets.load_iris(return_X_y=True)
    return whole("rows", 3, x * 1e-9, y)


@dataset("wine")
def wine(_):
    return whole("rows", 3, *datasets.load_wine(return_X_y=True))


@dataset("wine-minmax")
def wine_minmax(_):
    x, y = datasets.load_wine(return_X_y=True)
    return whole("rows", 3, minmax_scale(x), y)


@dataset("breast-cancer")
def breast_cancer(_):
    return whole("rows", 2, *datasets.load_breast_cancer(return_X_y=True))


@dataset("digits8x8")
def digits8x8(rng):
    x, y = datasets.load_digits(return_X_y=True)
    return parted(rng, "images", 10, (x / 16).reshape(-1, 8, 8).astype(np.float32), y, 1400)


@dataset("digits8x8-rows")
def digits8x8_rows(rng):
    x, y = datasets.load_digits(return_X_y=True)
    return parted(rng, "rows", 10, x, y, 1400)


@dataset("blobs-unit")
def blobs_unit(rng):
    x, y = blobs(rng, [200] * 3, centres(rng, 3, 4))
    return whole("rows", 3, minmax_scale(x), y)


@dataset("blobs-900-90-90")
def blobs_10_to_1(rng):
    return drawn_twice(rng, [900, 90, 90], 2)


@dataset("blobs-1500-30-30")
def blobs_50_to_1(rng):
    return drawn_twice(rng, [1500, 30, 30], 2)


@dataset("blobs-95-5")
def blobs_95_5(rng):
    return whole("rows", 2, *blobs(rng, [950, 50], centres(rng, 2, 4)))


@dataset("blobs-1-feature")
def blobs_1_feature(rng):
    return whole("rows", 3, *blobs(rng, [200] * 3, [[-8], [0], [8]]))


@dataset("blobs-sheared")
def blobs_sheared(rng):
    """The anisotropic clouds of scikit-learn's gallery."""
    x, y = datasets.make_blobs(1500, random_state=170)
    return parted(rng, "rows", 3, x @ [[0.6, -0.6], [-0.4, 0.8]], y, 1000)


@dataset("one-hot")
def one_hot(rng):
    y = rng.permutation(np.repeat(np.arange(4), 100))
    return whole("rows", 4, np.eye(4)[y], y)


@dataset("blobs-20")
def blobs_20(rng):
    return whole("rows", 20, *blobs(rng, [50] * 20, centres(rng, 20, 8)))


@dataset("shapes")
def shapes(rng):
    """A filled circle, square, triangle or cross on another colour, with noise."""
    n, side = 5000, 32
    y = rng.integers(4, size=n)
    radius = rng.uniform(6, 11, (n, 1, 1))
    row, column = np.mgrid[:side, :side] - (side - 1) / 2
    r, c = row - rng.uniform(-4, 4, (n, 1, 1)), column - rng.uniform(-4, 4, (n, 1, 1))
    longer, shorter = np.maximum(abs(r), abs(c)), np.minimum(abs(r), abs(c))
    inside = [
        r**2 + c**2 < radius**2,
        longer < 0.85 * radius,
        (r < 0.8 * radius) & (abs(c) < 0.6 * (r + radius)),
        (longer < radius) & (shorter < 0.3 * radius),
    ]
    x = coloured(rng, np.choose(y[:, None, None], inside).astype(float))
    x = np.clip(x + rng.normal(0, 0.05, x.shape), 0, 1)
    return parted(rng, "images", 4, to_bytes(x), y, 4000)


def to_bytes(x):
    return np.rint(x * 255).astype(np.uint8)


def coloured(rng, ink):
    """Ink in one random colour on another, [N,3,H,W]; two that can be told apart."""
    paper, pen = rng.uniform(size=(2, len(ink), 3))
    while (near := abs(pen - paper).max(1) < 0.5).any():
        pen[near] = rng.uniform(size=(near.sum(), 3))
    ink = ink[:, None]
    return paper[:, :, None, None] * (1 - ink) + pen[:, :, None, None] * ink


@lru_cache
def mnist_part(folder, part):
    def idx(name):
        plain, zipped = Path(folder, name), Path(folder, f"{name}.gz")
        data = plain.read_bytes() if plain.exists() else gzip.decompress(zipped.read_bytes())
        shape = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(data[3])]
        return np.frombuffer(data, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)

    return idx(f"{part}-images-idx3-ubyte"), idx(f"{part}-labels-idx1-ubyte").astype(int)


def mnist_some(rng, folder, fitted, scored, change=lambda x: x):
    """So many digits of either part."""
    (x, _), (t, y) = mnist_part(folder, "train"), mnist_part(folder, "t10k")
    fit, score = rng.permutation(len(x))[:fitted], rng.permutation(len(t))[:scored]
    return Data("images", 10, change(x[fit]), change(t[score]), y[score])


@dataset("mnist8k", "mnist")
def mnist8k(rng, folder):
    return mnist_some(rng, folder, 8000, 2000)


@dataset("mnist-12x12", "mnist")
def mnist_12x12(rng, folder):
    # Row i holds what each of 28 pixels has in the i-th of 12 equal stretches.
    starts, edges = np.arange(28), np.linspace(0, 28, 13)
    shares = np.minimum(starts + 1, edges[1:, None]) - np.maximum(starts, edges[:-1, None])
    shares = np.maximum(shares, 0) * 12 / 28
    return mnist_some(rng, folder, 20000, 5000, lambda x: to_bytes(shares @ (x / 255) @ shares.T))


@dataset("mnist-colour", "mnist")
def mnist_colour(rng, folder):
    def change(x):
        return to_bytes(coloured(rng, np.pad(x, [(0, 0), (2, 2), (2, 2)]) / 255))

    return mnist_some(rng, folder, 20000, 5000, change)


def mnist_counts(rng, folder, part, counts):
    """So many of each digit, as indices."""
    labels = mnist_part(folder, part)[1]
    some = [rng.permutation(np.flatnonzero(labels == d))[:n] for d, n in counts.items()]
    return rng.permutation(np.concatenate(some))


@dataset("mnist-3-rare-8", "mnist", "5 % are eights, the rest threes, in both parts")
def mnist_rare(rng, folder):
    (x, _), (t, y) = mnist_part(folder, "train"), mnist_part(folder, "t10k")
    fit = mnist_counts(rng, folder, "train", {3: 5700, 8: 300})
    score = mnist_counts(rng, folder, "t10k", {3: 950, 8: 50})
    return Data("images", 2, x[fit], t[score], (y[score] == 8).astype(int))


def long_tailed(rng, folder, ratio):
    (x, _), (t, y) = mnist_part(folder, "train"), mnist_part(folder, "t10k")
    fit = mnist_counts(rng, folder, "train", {d: round(5400 * ratio ** (-d / 9)) for d in range(10)})
    return Data("images", 10, x[fit], t, y)


@dataset("mnist-tail-20", "mnist", "fitted on 5400 zeros down to 270 nines, scored on all 10,000 test digits")
def mnist_tail_20(rng, folder):
    return long_tailed(rng, folder, 20)


@dataset("mnist-tail-100", "mnist", "fitted on 5400 zeros down to 54 nines, scored on all 10,000 test digits")
def mnist_tail_100(rng, folder):
    return long_tailed(rng, folder, 100)


@dataset("mnist", "mnist")
def mnist(_, folder):
    (x, _), (t, y) = mnist_part(folder, "train"), mnist_part(folder, "t10k")
    return Data("images", 10, x, t, y)


@dataset("watch", "watch", "two seconds every second; fitted on subjects 1 to 4, scored on 5 and 6, who calibrate the trainer")
def watch(_, folder):
    exercises, parts = [], {True: ([], []), False: ([], [])}
    for path in sorted(Path(folder).glob("subject-*/*.csv")):
        exercise = path.stem.rsplit("-", 1)[0]
        if exercise not in exercises:
            exercises.append(exercise)
        table = np.loadtxt(path, delimiter=",", skiprows=1, dtype=np.float32)
        windows = [table[at : at + 100].T[:, None] for at in range(0, len(table) - 99, 50)]
        x, y = parts[int(path.parent.name[-1]) <= 4]
        x += windows
        y += [exercises.index(exercise)] * len(windows)
    (fit, _), (score, labels) = parts[True], parts[False]
    words = ["--data", folder, "--window", "2s", "--hop", "1s", "--rate", "50", "--group", "{}/*.csv"]
    recordings = [*words, "--hold-out", "subject-5,subject-6"]
    return Data("windows", len(exercises), np.stack(fit), np.stack(score), np.array(labels), (recordings, recordings))


def series(folder, name):
    """Both parts of a set of the time series archive, in the text form of aeon."""
    windows, classes = [], []
    for path in sorted(Path(folder, name.split("_")[0]).glob(f"{name}_T*.ts")):
        lines = path.read_text().splitlines()
        for line in lines[[line.strip().lower() for line in lines].index("@data") + 1 :]:
            *channels, label = line.split(":")
            windows.append([[[float(value) for value in channel.split(",")]] for channel in channels])
            classes.append(label)
    labels = np.unique(classes, return_inverse=True)[1]
    return "windows", 1 + labels.max(), np.array(windows, np.float32), labels


@dataset("basic-motions", "series")
def basic_motions(_, folder):
    return whole(*series(folder, "BasicMotions"))


@dataset("japanese-vowels", "series")
def japanese_vowels(_, folder):
    return whole(*series(folder, "JapaneseVowels_eq"))


@dataset("italy-power", "series")
def italy_power(rng, folder):
    return parted(rng, *series(folder, "ItalyPowerDemand"), 800)


@dataset("gun-point", "series")
def gun_point(_, folder):
    return whole(*series(folder, "GunPoint"))


@dataset("arrow-head", "series")
def arrow_head(_, folder):
    return whole(*series(folder, "ArrowHead"))


@dataset("osu-leaf", "series")
def osu_leaf(_, folder):
    return whole(*series(folder, "OSULeaf"))


@dataset("trace", "trace", "four kinds of a plant's transients, fitted and scored on all 200")
def trace(_, file):
    parts = np.load(file)
    x, y = (np.concatenate([parts[f"{what}_{part}"] for part in ("train", "test")]) for what in "Xy")
    labels = np.unique(y, return_inverse=True)[1]
    return whole("windows", 1 + labels.max(), x.transpose(0, 2, 1)[:, :, None].astype(np.float32), labels)


# ---- Methods: a cluster for each frame to score ----


class NotApplicable(Exception):
    """A method that says nothing of such frames; no failure."""


def values(data):
    """A row of numbers a frame: pixels as they are, everything else standardised."""
    fit, score = (x.reshape(len(x), -1).astype(np.float32 if data.kind == "images" else float) for x in data[2:4])
    if data.kind == "images":
        scale = 255 if data.fit.dtype == np.uint8 else 1
        return fit / scale, score / scale
    scaler = StandardScaler().fit(fit)
    return scaler.transform(fit), scaler.transform(score)


def components(data):
    """The principal components of those that hold 90 % of the variance, 50 at most."""
    fit, score = values(data)
    pca = PCA(min(50, *fit.shape), random_state=0).fit(fit)
    keep = np.searchsorted(pca.explained_variance_ratio_.cumsum(), 0.9) + 1
    return pca.transform(fit)[:, :keep], pca.transform(score)[:, :keep]


def few(data):
    """Components only of frames of more than 100 numbers."""
    return values(data) if data.fit[0].size <= 100 else components(data)


def spectra(data):
    """What is usual for windows: mean, log deviation and the log of the first 25 spectral lines of a channel."""
    if data.kind != "windows":
        raise NotApplicable("not windows")

    def features(x):
        x = x[:, :, 0]
        lines = np.log(abs(np.fft.rfft(x - x.mean(2, keepdims=True)))[:, :, 1:26] + 1e-3)
        return np.concatenate([x.mean(2), np.log(x.std(2) + 1e-3), lines.reshape(len(x), -1)], 1)

    fit, score = features(data.fit), features(data.score)
    scaler = StandardScaler().fit(fit)
    return scaler.transform(fit), scaler.transform(score)


def kmeans(k, fit, score, seed):
    return KMeans(k, n_init=10, random_state=seed).fit(fit).predict(score)


def mixture(covariance):
    def cluster(k, fit, score, seed):
        if covariance == "full" and fit.shape[1] > 200:
            raise NotApplicable("full covariances of more than 200 numbers")
        model = GaussianMixture(k, covariance_type=covariance, n_init=5, reg_covar=1e-3, random_state=seed)
        return model.fit(fit).predict(score)

    return cluster


def spectral(k, fit, score, seed):
    """Unseen frames go with the nearest fitted one; of more than 10,000 frames so many are fitted."""
    inside = fit is score
    if len(fit) > 10000:
        fit = fit[np.random.default_rng(seed).permutation(len(fit))[:10000]]
    model = SpectralClustering(k, affinity="nearest_neighbors", random_state=seed).fit(fit)
    return model.labels_ if inside else KNeighborsClassifier(1).fit(fit, model.labels_).predict(score)


SHALLOW = {
    "kmeans": (values, kmeans),
    "kmeans-pca": (components, kmeans),
    "kmeans-spectra": (spectra, kmeans),
    "gmm-full": (values, mixture("full")),
    "gmm-full-pca": (components, mixture("full")),
    "gmm-diag": (values, mixture("diag")),
    "gmm-diag-pca": (components, mixture("diag")),
    "gmm-diag-spectra": (spectra, mixture("diag")),
    "spectral": (few, spectral),
}


# ClustPy's, with its defaults, which are a network of 500, 500 and 2000, batches of 256, ten latent dimensions, 100
# epochs of autoencoder and 150 of clustering. Each gets its frames as its paper has them.


def epochs(options, frames, *wanted):
    """The epochs wanted, or fewer in the same proportion where they are more than --steps; and a note of that."""
    share = min(1, options.steps / (sum(wanted) * -(-frames // 256)))
    given = [max(1, round(share * w)) for w in wanted]
    return given, "" if share == 1 else f"{' + '.join(map(str, given))} epochs, not {' + '.join(map(str, wanted))}"


def dec(options, data, fit, score, seed):
    """Deep embedded clustering; the mean square of a value is 1."""
    from clustpy.deep import DEC

    (before, after), note = epochs(options, len(fit), 100, 150)
    model = DEC(data.k, pretrain_epochs=before, clustering_epochs=after, random_state=seed)
    scale = np.sqrt((fit**2).mean())
    return model.fit(fit / scale).predict(score / scale), note


def vade(options, data, fit, score, seed):
    """Variational deep embedding; pixels are Bernoulli, all else is normal."""
    from clustpy.deep import VaDE
    from clustpy.deep.vade import _VaDE_VAE
    from torch.nn import MSELoss

    (before, after), note = epochs(options, len(fit), 100, 150)
    normal = {}
    if data.kind != "images":
        layers = {"layers": [fit.shape[1], 500, 500, 2000, 10], "decoder_output_fn": None, "random_state": seed}
        normal = {"neural_network": (_VaDE_VAE, layers), "ssl_loss_fn": MSELoss(reduction="sum")}
    model = VaDE(data.k, pretrain_epochs=before, clustering_epochs=after, random_state=seed, **normal)
    return model.fit(fit).predict(score), note


def n2d(options, data, fit, score, seed):
    """Not too deep: 1000 epochs of autoencoder, its K latents by UMAP to K dimensions, a full mixture of those."""
    import torch
    from clustpy.deep.neural_networks import FeedforwardAutoencoder
    from umap import UMAP

    (once,), note = epochs(options, len(fit), 1000)
    torch.manual_seed(seed)
    network = FeedforwardAutoencoder([fit.shape[1], 500, 500, 2000, data.k], random_state=seed)
    network.fit(once, {"lr": 1e-3}, 256, data=fit)
    encode = lambda x: network.encode(torch.from_numpy(x)).detach().numpy()
    umap = UMAP(n_components=data.k, n_neighbors=20, min_dist=0.0, random_state=seed)
    low = umap.fit_transform(encode(fit))
    model = GaussianMixture(data.k, random_state=seed).fit(low)
    return model.predict(low if fit is score else umap.transform(encode(score))), note


DEEP = {"dec": dec, "vade": vade, "n2d": n2d}
METHODS = ["trainer", *SHALLOW, *DEEP]


def trainer(options, data, seed):
    """Fit, export, predict: the seconds are those of the fit."""
    with tempfile.TemporaryDirectory() as scratch:
        run, fit, score = (Path(scratch, name) for name in ["run", "fit.npy", "score.npy"])
        # What one axis of an array means is not always clear; of windows it is said.
        windows = data.kind == "windows"
        for path, frames in [(fit, data.fit), (score, data.score)]:
            np.save(path, np.ascontiguousarray(frames[:, :, 0] if windows else frames))
        layout = ["--layout", "nct"] if windows else []
        fitted, scored = data.recordings or (["--data", fit, *layout], ["--data", score, *layout])

        def call(*arguments):
            done = subprocess.run([options.trainer, *map(str, arguments)], capture_output=True, text=True)
            if done.returncode:
                last = (done.stderr.strip().splitlines() or [""])[-1]
                raise RuntimeError(f"{arguments[0]}: exit code {done.returncode}: {last}".replace(scratch, ""))

        begun = time.monotonic()
        settings = ["--set", f"clusters={data.k}", "--seed", seed, "--device", options.device]
        call("fit", "--out", run, *settings, *fitted)
        seconds = time.monotonic() - begun
        call("export", run, "--precision", "f32")
        call("predict", run / "export" / "model.onnx", "--out", run / "labels.csv", *scored)
        with open(run / "labels.csv", newline="") as table:
            rows = list(csv.DictReader(table))
        clusters, confidences = (np.array([of(row[key]) for row in rows]) for of, key in
                                 [(int, "cluster"), (float, "confidence")])
        alarms = float(np.mean([row["is_novel"] in ("1", "true") for row in rows]))
        return clusters, seconds, {"ece": calibration_error(clusters, confidences, data.labels), "alarms": alarms}


# ---- Measuring ----


def matched(clusters, labels):
    """Counts by cluster and label, and the label of each cluster."""
    size = 1 + max(clusters.max(), labels.max())
    counts = np.zeros((size, size), int)
    np.add.at(counts, (clusters, labels), 1)
    return counts, linear_sum_assignment(-counts)[1]


def calibration_error(clusters, confidences, labels, bins=15):
    """Expected calibration error: Guo et al. 2017, eq. 3."""
    right = matched(clusters, labels)[1][clusters] == labels
    bin = np.clip(np.ceil(confidences * bins).astype(int), 1, bins)
    return sum(abs(np.sum(right[bin == b] - confidences[bin == b])) for b in np.unique(bin)) / len(labels)


def scores(clusters, labels):
    counts, of_cluster = matched(clusters, labels)
    return {
        "acc": counts[np.arange(len(counts)), of_cluster].sum() / len(labels),
        "nmi": normalized_mutual_info_score(labels, clusters),
        "ari": adjusted_rand_score(labels, clusters),
    }


@lru_cache(maxsize=1)
def load(name, folder):
    return SETS[name][1](folder)


@lru_cache(maxsize=2)
def view(name, folder, function):
    fit, score = function(load(name, folder))
    data = load(name, folder)
    return (fit, fit) if data.fit is data.score else (fit, score)


def measure(options, name, method, seed):
    """The row of one fit; an error is a row too."""
    warnings.simplefilter("ignore")
    folder = getattr(options, SETS[name][0] or "", None)
    data, note, claims = load(name, folder), "", {}
    try:
        if method == "trainer":
            clusters, seconds, claims = trainer(options, data, seed)
        elif method in DEEP:
            fit, score = view(name, folder, values)
            score = score.astype(np.float32) if fit is not score else None
            fit = fit.astype(np.float32)
            begun = time.monotonic()
            with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
                clusters, note = DEEP[method](options, data, fit, fit if score is None else score, seed)
            seconds = time.monotonic() - begun
        else:
            function, cluster = SHALLOW[method]
            fit, score = view(name, folder, function)
            begun = time.monotonic()
            clusters = cluster(data.k, fit, score, seed)
            seconds = time.monotonic() - begun
        return {**scores(np.asarray(clusters), data.labels), "seconds": seconds, "note": note, **claims}
    except NotApplicable as reason:
        return {"skipped": str(reason)}
    except ImportError as lacking:
        return {"skipped": str(lacking), "again": True}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:400]}


class Cache:
    """Rows by set/method/seed, in a file that several runs may share."""

    def __init__(self, path):
        self.path = path and Path(path)

    def rows(self):
        return json.loads(self.path.read_text()) if self.path and self.path.exists() else {}

    def store(self, key, row):
        if not self.path:
            return
        with open(f"{self.path}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            rows = self.rows() | {key: row}
            fresh = Path(f"{self.path}.new")
            fresh.write_text(json.dumps(rows, indent=0, sort_keys=True))
            fresh.replace(self.path)


# ---- Telling ----


def summary(rows, names, methods, seeds):
    """Means over seeds by set and method. A seed that failed scores nothing, in all of them."""
    table = {}
    for name in names:
        found = {}
        for method in methods:
            tried = [row for s in range(seeds) if (row := rows.get((name, method, s))) and "skipped" not in row]
            if not tried:
                continue
            of = lambda what: [row.get(what, 0.0) for row in tried]
            errors = [row["error"] for row in tried if "error" in row]
            found[method] = {
                **{what: float(np.mean(of(what))) for what in ["acc", "nmi", "ari"]},
                "min": min(of("acc")),
                **{what: float(np.mean(of(what))) for what in ["ece", "alarms"] if any(what in row for row in tried)},
                "seconds": float(np.mean([row["seconds"] for row in tried if "seconds" in row] or [np.nan])),
                "seeds": len(tried),
                "failed": len(errors),
                "note": errors[0] if errors else tried[0].get("note", ""),
            }
        # What differs by less than is printed is level.
        ranks = rankdata([-round(f["acc"], 4) for f in found.values()])
        for f, rank in zip(found.values(), ranks):
            f["rank"] = float(rank)
        table[name] = found
    return table


def markdown(table):
    methods = [m for m in METHODS if any(m in found for found in table.values())]
    lines = ["# Suite", ""]

    def row(*cells):
        lines.append("| " + " | ".join(map(str, cells)) + " |")

    lines += ["Mean ACC over the seeds, the minimum in brackets; a seed that failed scores 0.", ""]
    row("set", *methods)
    row(*["---"] * (len(methods) + 1))
    for name, found in table.items():
        best = max((f["acc"] for f in found.values()), default=0)
        cells = []
        for m in methods:
            f = found.get(m)
            bold = "**" if f and round(f["acc"], 4) == round(best, 4) else ""
            cells.append(f"{bold}{f['acc']:.4f}{bold} ({f['min']:.4f})" if f else "")
        row(name, *cells)
    ranks = {m: [found[m]["rank"] for found in table.values() if m in found] for m in methods}
    row("mean rank", *(f"{np.mean(ranks[m]):.2f}" for m in methods))

    ours = {name: found for name, found in table.items() if "trainer" in found and len(found) > 1}
    if ours:
        level = above = 0
        below = []
        for name, found in ours.items():
            mine = round(found["trainer"]["acc"], 4)
            peers = {m: round(f["acc"], 4) for m, f in found.items() if m != "trainer"}
            above += mine > max(peers.values())
            level += mine >= max(peers.values())
            shallow = {m: acc for m, acc in peers.items() if m in SHALLOW}
            if shallow and mine < (best := max(shallow.values())) - 0.01:
                below.append(f"{name} ({mine:.4f}, {max(shallow, key=shallow.get)} {best:.4f})")
        lines += ["", f"- The trainer is above every peer on {above} of {len(ours)} sets, level or above on {level}."]
        lines += [f"- Below the best shallow peer by more than 0.01: {', '.join(below) or 'nowhere'}."]
    lines += [f"- {name}: {NOTES[name]}." for name in table if NOTES[name]] + [""]

    claimed = {name: f for name, found in table.items() if (f := found.get("trainer")) and "ece" in f}
    if claimed:
        lines += ["What the trainer's model claims: expected calibration error of its confidence (15 bins), and the"]
        lines += ["share of the frames scored that it calls novel, where 0.01 is asked for.", ""]
        row("set", "ACC", "calibration error", "called novel")
        row(*["---"] * 4)
        for name, f in claimed.items():
            row(name, *(f"{f[what]:.4f}" for what in ["acc", "ece", "alarms"]))
        lines.append("")
    row("set", "method", "seeds", "failed", "ACC", "minimum", "NMI", "ARI", "seconds", "rank", "note")
    row(*["---"] * 11)
    for name, found in table.items():
        for m, f in found.items():
            figures = [f"{f[what]:.4f}" for what in ["acc", "min", "nmi", "ari"]]
            note = f["note"].replace("|", "/").replace("\n", " ")
            row(name, m, f["seeds"], f["failed"], *figures, f"{f['seconds']:.1f}", f"{f['rank']:g}", note)
    return "\n".join(lines) + "\n"


def aeon_data():
    """Time series that the package ships with."""
    found = importlib.util.find_spec("aeon")
    return found and str(Path(found.origin).parent / "datasets" / "data")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trainer", help="the program to measure")
    parser.add_argument("--mnist", help="folder with the four IDX files; without it those sets are left out")
    parser.add_argument("--watch", help="folder with subject-N/EXERCISE-SIDE.csv; likewise")
    parser.add_argument("--series", default=aeon_data(), help="folder with NAME/NAME_TRAIN.ts; aeon's, if installed")
    parser.add_argument("--trace", help="Trace.npz of tslearn; likewise")
    parser.add_argument("--sets", help=f"of {', '.join(SETS)}")
    parser.add_argument("--methods", help=f"of {', '.join(METHODS)}")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1, help="fits at once")
    parser.add_argument("--device", default="cpu", help="of the trainer")
    parser.add_argument("--steps", type=int, default=20000, help="of gradient, at most, for a fit of a deep peer")
    parser.add_argument("--cache", help="file of what is measured already")
    parser.add_argument("--cached", action="store_true", help="measure nothing, tell what the cache holds")
    parser.add_argument("--out", default=".", type=Path)
    options = parser.parse_args()

    possible = [name for name, (need, _) in SETS.items() if not need or getattr(options, need)]
    names = options.sets.split(",") if options.sets else possible
    methods = options.methods.split(",") if options.methods else METHODS
    for name, known in [(n, SETS) for n in names] + [(m, METHODS) for m in methods]:
        if name not in known:
            parser.error(f"{name} is none of {', '.join(known)}")
    for name in names:
        if (need := SETS[name][0]) and not getattr(options, need):
            parser.error(f"{name} needs --{need}")

    sha = "trainer" in methods and hashlib.sha256(Path(options.trainer).read_bytes()).hexdigest()[:16]
    cache = Cache(options.cache)
    cached = cache.rows()
    rows, waiting = {}, {}
    with ProcessPoolExecutor(options.jobs) as pool:
        for name in names:
            for method in methods:
                for seed in range(options.seeds):
                    key = f"{name}/{f'trainer@{sha}' if method == 'trainer' else method}/{seed}"
                    if key in cached:
                        rows[name, method, seed] = cached[key]
                    elif not options.cached:
                        waiting[pool.submit(measure, options, name, method, seed)] = (key, name, method, seed)
        for done in as_completed(waiting):
            key, name, method, seed = waiting[done]
            row = rows[name, method, seed] = done.result()
            if "again" not in row:
                cache.store(key, row)
            told = row.get("error") or row.get("skipped") or f"ACC {row['acc']:.4f}, {row['seconds']:.1f} s"
            print(f"{name}, {method}, seed {seed}: {told}", flush=True)

    table = summary(rows, names, methods, options.seeds)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "suite.json").write_text(json.dumps({"trainer": sha or None, "sets": table}, indent=1))
    (options.out / "suite.md").write_text(markdown(table))


if __name__ == "__main__":
    main()
