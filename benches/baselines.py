"""What k-means and Gaussian mixtures of scikit-learn make of an MNIST folder: of its pixels, and of the latents that
stage 1 of a benchmark's runs ended with. Fitted on the training part, scored one-to-one on the test part; like
everywhere, a label only scores.

Usage: baselines.py TRAINER MNIST [NAME=RUNS ...]      RUNS is the --out of `trainer benchmark`
Needs numpy, scipy, scikit-learn (tests/requirements.txt).
"""

import gzip
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

SEEDS = range(5)
K = 10


def idx(folder, name):
    plain, zipped = folder / name, folder / f"{name}.gz"
    data = plain.read_bytes() if plain.exists() else gzip.decompress(zipped.read_bytes())
    shape = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(data[3])]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def accuracy(clusters, labels):
    counts = np.zeros((K, K), int)
    np.add.at(counts, (clusters, labels), 1)
    return counts[linear_sum_assignment(-counts)].sum() / len(labels)


def kmeans(seed):
    return KMeans(K, n_init=3, random_state=seed)


def mixture(seed):
    return GaussianMixture(K, covariance_type="full", n_init=3, reg_covar=1e-3, random_state=seed)


def row(what, method, found):
    each = ", ".join(f"{a:.4f}" for a in found)
    print(f"| {method} on {what} | {each} | {np.mean(found):.4f} | {np.min(found):.4f} |", flush=True)


trainer, folder = sys.argv[1], Path(sys.argv[2])
train = idx(folder, "train-images-idx3-ubyte").reshape(-1, 784) / np.float32(255)
test = idx(folder, "t10k-images-idx3-ubyte").reshape(-1, 784) / np.float32(255)
labels = idx(folder, "t10k-labels-idx1-ubyte")

print("| what | ACC of seeds 0 to 4 | mean | minimum |\n|---|---|---|---|", flush=True)
row("pixels", "k-means", [accuracy(kmeans(s).fit(train).predict(test), labels) for s in SEEDS])
# Full covariances of 784 pixels are singular; 50 principal components hold 82 % of the variance.
pca = PCA(50, random_state=0).fit(train)
reduced, reduced_test = pca.transform(train), pca.transform(test)
row("pixels (50 principal components)", "mixture", [accuracy(mixture(s).fit(reduced).predict(reduced_test), labels) for s in SEEDS])

for argument in sys.argv[3:]:
    name, runs = argument.split("=", 1)
    found = {"k-means": [], "mixture": []}
    for seed in SEEDS:
        z = []
        for part in ["fit", "score"]:
            with tempfile.TemporaryDirectory() as scratch:
                out = Path(scratch) / "z.npy"
                run = Path(runs) / f"seed-{seed}"
                options = ["--data", str(folder), "--part", part, "--stage", "pretrain", "--out", str(out)]
                subprocess.run([trainer, "latents", str(run), *options], check=True)
                z.append(np.load(out))
        found["k-means"].append(accuracy(kmeans(seed).fit(z[0]).predict(z[1]), labels))
        found["mixture"].append(accuracy(mixture(seed).fit(z[0]).predict(z[1]), labels))
    for method, values in found.items():
        row(f"latents of stage 1, {name}", method, values)
