"""Compares `trainer gmm` with scikit-learn, and with what mclust's documentation prints.

Usage: gmm_agrees.py TRAINER FOLDER FAITHFUL_CSV
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris
from sklearn.mixture import GaussianMixture

trainer, folder, faithful = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
np.savetxt(folder / "iris.csv", load_iris().data, delimiter=",")
KINDS = {"full": "full", "tied": "tied", "diagonal": "diag", "isotropic": "spherical"}
# mclust, model VVV: log-likelihood of faithful with 2 components and of iris with 3; EEE, of faithful with 3.
MCLUST = {
    ("faithful", 2, "full"): -1130.264,
    ("iris", 3, "full"): -180.1858,
    ("faithful", 3, "tied"): -1126.326,
}


def fit(data, k, kind):
    options = ["--components", str(k), "--covariance", kind, "--estimator", "mle", "--restarts", "20"]
    options += ["--tol", "1e-9", "--max-iter", "5000", "--json"]
    output = subprocess.run([trainer, "gmm", "--data", str(data), *options], capture_output=True, text=True, check=True)
    return json.loads(output.stdout)


def precisions(kind, covariances, d):
    matrices = np.array([np.reshape(c, (d, d)) for c in covariances])
    return {
        "full": lambda: np.linalg.inv(matrices),
        "tied": lambda: np.linalg.inv(matrices[0]),
        "diagonal": lambda: np.array([1 / np.diag(m) for m in matrices]),
        "isotropic": lambda: np.array([1 / m[0, 0] for m in matrices]),
    }[kind]()


for name, path in [("faithful", faithful), ("iris", folder / "iris.csv")]:
    x = np.genfromtxt(path, delimiter=",", skip_header=int(name == "faithful"))
    for k in [2, 3]:
        for kind, theirs in KINDS.items():
            ours = fit(path, k, kind)
            found = ours["log_likelihood"]
            settings = dict(covariance_type=theirs, tol=1e-9, max_iter=5000, reg_covar=1e-6)
            # scikit-learn's own search must not find anything better,
            searched = GaussianMixture(k, n_init=10, random_state=0, **settings).fit(x).score(x) * len(x)
            # and from our solution it must stay where it is.
            start = dict(
                weights_init=ours["weights"],
                means_init=np.reshape(ours["means"], (k, -1)),
                precisions_init=precisions(kind, ours["covariances"], x.shape[1]),
            )
            stayed = GaussianMixture(k, **start, **settings).fit(x).score(x) * len(x)
            print(f"{name} K={k} {kind}: {found:.4f}, scikit-learn {searched:.4f}, from ours {stayed:.4f}")
            if found < searched - 1e-3 * abs(searched):
                sys.exit(f"{name} {k} {kind}: {found}, scikit-learn finds {searched}")
            if abs(found - stayed) > 1e-5 * abs(stayed):
                sys.exit(f"{name} {k} {kind}: {found}, scikit-learn goes from there to {stayed}")
            published = MCLUST.get((name, k, kind), found)
            if abs(found - published) > 1e-3 * abs(published):
                sys.exit(f"{name} {k} {kind}: {found}, mclust prints {published}")
