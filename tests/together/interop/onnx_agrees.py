"""Checks exported ONNX files with onnx and runs them with ONNX Runtime against what the Burn model gave.

Usage: onnx_agrees.py FOLDER, where tests/together/interop.rs left the files and Burn's numbers.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

folder = Path(sys.argv[1])
frames = np.load(folder / "frames.npy")
expected = {name: np.load(folder / f"{name}.npy") for name in ["responsibilities", "novelty"]}
top_two = np.sort(expected["responsibilities"], axis=1)[:, -2:]


def session(file):
    onnx.checker.check_model(str(file), full_check=True)
    return onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])


def check(holds, message):
    if not holds:
        sys.exit(message)


for precision, tolerance in [("f32", 1e-5), ("f16", 2e-3)]:
    model = session(folder / precision / "model.onnx")
    names = ["mu", "log_var", "log_responsibilities", "responsibilities", "novelty"]
    check([o.name for o in model.get_outputs()] == names, f"{precision}: outputs are {model.get_outputs()}")
    for part in [frames, frames[:1]]:
        found = dict(zip(names, model.run(names, {"frame": part})))
        q = expected["responsibilities"][: len(part)]
        difference = np.abs(found["responsibilities"] - q).max()
        print(f"{precision}, {len(part)} frames: responsibilities within {difference:.1e}")
        check(difference < tolerance, f"{precision}: responsibilities differ by {difference}, allowed {tolerance}")
        # Only where the best two are closer than the tolerance may the cluster differ.
        tie = (top_two[: len(part), 1] - top_two[: len(part), 0]) < 2 * tolerance
        same = found["responsibilities"].argmax(1) == q.argmax(1)
        check((same | tie).all(), f"{precision}: {np.sum(~same & ~tie)} frames are in another cluster")
        logs = np.exp(found["log_responsibilities"]) - found["responsibilities"]
        check(np.abs(logs).max() < 1e-5, f"{precision}: log_responsibilities are not the log of responsibilities")
        novelty = expected["novelty"][: len(part)]
        worst = (np.abs(found["novelty"] - novelty) / (1 + np.abs(novelty))).max()
        check(worst < 5 * tolerance, f"{precision}: novelty differs by {worst}")

    decoder = session(folder / precision / "decoder.onnx")
    inputs = {"z": np.load(folder / "z.npy"), "cluster": np.load(folder / "cluster.npy")}
    (found,) = decoder.run(["reconstruction"], inputs)
    image = np.load(folder / "reconstruction.npy")
    difference = np.abs(found.reshape(image.shape) - image).max()
    print(f"{precision}, decoder: within {difference:.1e}")
    check(found.shape == (len(image), *frames.shape[1:]), f"{precision}: decoder gives {found.shape}")
    check(difference < tolerance, f"{precision}: reconstruction differs by {difference}, allowed {tolerance}")
