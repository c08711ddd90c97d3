#!/usr/bin/env python3
"""Training steps of this project and of PyTorch, in turn: same network, loss, optimiser, batch and augmentation.

    benches/training.py TRAINER [--engine cpu|wgpu|vulkan|cuda] [--torch cpu|cuda] [--mnist FOLDER] [--out FOLDER]

Needs PyTorch and a built trainer, no compiler but the one that torch.compile brings along, and no network. Writes
training.json and training.md to --out. With --mnist, the complete default fit is timed and scored as well; with --seeds,
several of them at once on one device. Frames a second are medians over the rounds of all turns; the ratio is ours to the
faster of PyTorch's two.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

# PyTorch's idle threads would otherwise spin on the cores that ours then computes on.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

NETWORKS = ["conv", "vade", "mlp"]
STAGES = ["pretrain", "refine"]
K, D, P, SIDE = 10, 10, 784, 28


def build(torch, network):
    """The network of `trainer throughput --network`."""
    nn = torch.nn
    hidden = {"conv": [128], "vade": [500, 500, 2000], "mlp": [256, 128]}[network]
    decoder = {"conv": [256, 256], "vade": [2000, 500, 500], "mlp": [128, 256]}[network]

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            layers, inputs = [], P
            if network == "conv":
                layers.append(nn.Unflatten(1, (1, SIDE, SIDE)))
                for source, target in [(1, 16), (16, 32)]:
                    layers += [nn.Conv2d(source, target, 5, 2, 2), nn.BatchNorm2d(target), nn.ReLU()]
                layers.append(nn.Flatten())
                inputs = 32 * 7 * 7
            for width in hidden:
                layers += [nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU()]
                inputs = width
            self.features = nn.Sequential(*layers)
            self.mu, self.log_var = nn.Linear(inputs, D), nn.Linear(inputs, D)
            self.from_z, self.from_c = nn.Linear(D, decoder[0]), nn.Parameter(torch.rand(K, decoder[0]) - 0.5)
            layers = [nn.ReLU()]
            for source, target in zip(decoder, decoder[1:]):
                layers += [nn.Linear(source, target), nn.ReLU()]
            self.decoder = nn.Sequential(*layers, nn.Linear(decoder[-1], P))
            self.mu_c, self.log_var_c = nn.Parameter(torch.rand(K, D) * 2 - 1), nn.Parameter(torch.zeros(K))

        def encode(self, x):
            h = self.features(x)
            return self.mu(h), self.log_var(h).clamp(-8, 4)

    return Model()


class Augmentation:
    """Affine map, elastic displacement of a 5x5 grid and thickness, as trainer's views of images, a batch at once."""

    def __init__(self, torch, device, strength, deform):
        self.torch, self.device, self.strength, self.deform = torch, device, strength, deform

    def __call__(self, frames):
        torch, F = self.torch, self.torch.nn.functional
        b = frames.shape[0]

        def draw(*shape):
            return (torch.rand(*shape, device=self.device) * 2 - 1) * self.strength

        turn = draw(b) * (20 * torch.pi / 180)
        scale, shear, shift = 1 + 0.15 * draw(b, 2), 0.3 * draw(b), 0.15 * draw(b, 2)
        sin, cos = turn.sin(), turn.cos()
        rows = [cos / scale[:, 0], shear - sin, shift[:, 0], sin, cos / scale[:, 1], shift[:, 1]]
        grid = F.affine_grid(torch.stack(rows, 1).view(b, 2, 3), (b, 1, SIDE, SIDE), align_corners=False)
        if self.deform:
            coarse = 0.07 * draw(b, 2, 5, 5)
            fine = F.interpolate(coarse, size=(SIDE, SIDE), mode="bilinear", align_corners=True)
            grid = grid + fine.permute(0, 2, 3, 1)
        image = frames.view(b, 1, SIDE, SIDE)
        out = F.grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        if self.deform:
            share = 0.3 * draw(b, 1, 1, 1)
            thick, thin = F.max_pool2d(out, 3, 1, 1), -F.max_pool2d(-out, 3, 1, 1)
            out = out + share.abs() * (torch.where(share > 0, thick, thin) - out)
        return out.view(b, P)


def losses(torch, model, stage):
    """The loss of a step and what is reported of it, as in trainer/src/fit/pretrain.rs and refine.rs."""
    F = torch.nn.functional
    log_2pi = 1.8378770664093453

    def log_likelihood(x, logits):
        return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)

    def pretrain(frames, views, noise, _):
        b = frames.shape[0]
        mu, log_var = model.encode(views)
        z = mu + noise * (0.5 * log_var).exp()
        logits = model.decoder(model.from_z(z))
        reconstruction = log_likelihood(torch.cat([frames, frames]), logits).mean()
        kl = (0.5 * (mu.square() + log_var.exp() - log_var - 1).sum(1)).mean()
        distance = (mu[:b] - mu[b:]).square().sum(1).mean()
        loss = -reconstruction + 0.5 * kl + 5 * distance
        return loss, torch.stack([reconstruction, kl, distance, loss]).detach()

    def refine(frames, views, noise, gumbel):
        b = frames.shape[0]
        mu, log_var = model.encode(torch.cat([frames, views]))
        distance = (mu[:, None] - model.mu_c).square().sum(2) + log_var.exp().sum(1, keepdim=True)
        alignment = -0.5 * (distance * (-model.log_var_c).exp() + (model.log_var_c + log_2pi) * D)
        log_gamma = F.log_softmax(alignment, 1)
        log_q, log_q_view, alignment = log_gamma[:b], log_gamma[b:], alignment[:b]
        z = mu[:b] + noise * (0.5 * log_var[:b]).exp()
        fixed = log_q.detach()
        first = fixed.argmax(1, keepdim=True)
        others = fixed.scatter(1, first, -1e9)
        second = (others + gumbel).argmax(1, keepdim=True)
        rest = others.exp().sum(1, keepdim=True).clamp_min(1e-12)
        weight = (log_q.gather(1, second) - (others.gather(1, second) - rest.log())).exp().squeeze(1)
        both = torch.cat([first, second]).squeeze(1)
        logits = model.decoder(model.from_z(torch.cat([z, z])) + model.from_c[both])
        passes = log_likelihood(torch.cat([frames, frames]), logits)
        reconstruction = passes[:b] + weight * (passes[b:] - passes[:b])
        q, q_view = log_q.exp(), log_q_view.exp()
        cluster_kl = (q * log_q).sum(1) + 2.302585092994046
        entropy = 0.5 * (log_var[:b].sum(1) + D * (1 + log_2pi))
        aligned = (q * alignment).sum(1)
        total = reconstruction + aligned - cluster_kl + entropy
        joint = q.T @ q_view / b
        joint = (0.5 * (joint + joint.T)).clamp_min(1e-8)
        marginal = joint.sum(0, keepdim=True).log()
        between = (joint * (joint.log() - marginal - marginal.T)).sum()
        t, t_view = log_q.detach(), log_q_view.detach()
        inconsistency = ((t.exp() * (t - log_q_view)).sum() + (t_view.exp() * (t_view - log_q)).sum()) * (0.5 / b)
        loss = -(total + cluster_kl).mean() - 200 * between + 300 * inconsistency
        means = [reconstruction.mean(), aligned.mean(), cluster_kl.mean(), entropy.mean()]
        cluster_entropy = -(q * log_q).sum() / b
        told = torch.stack([*means, cluster_entropy, between, inconsistency, total.mean(), loss])
        return loss, torch.cat([told, q.mean(0)]).detach()

    return pretrain if stage == "pretrain" else refine


def peer(arguments):
    """One measurement of PyTorch, in a process of its own; prints the frames a second of each round."""
    import torch

    device, threads = arguments.torch, arguments.threads
    torch.manual_seed(0)
    if device == "cpu":
        torch.set_num_threads(threads)
    else:
        torch.backends.cuda.matmul.allow_tf32 = arguments.tf32
        torch.backends.cudnn.allow_tf32 = arguments.tf32
        torch.backends.cudnn.benchmark = True
    network, stage, batch = arguments.peer.split(",")
    batch = int(batch)
    views = 2 if stage == "pretrain" else 1
    model = build(torch, network).to(device).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-5, fused=True)
    augment = Augmentation(torch, device, 1.0 if stage == "pretrain" else 0.75, stage == "refine")
    data = (torch.rand(max(60_000, 16 * batch), P, device=device) > 0.8).float()
    objective = losses(torch, model, stage)

    def forward(frames):
        with torch.no_grad():
            seen = augment(frames.repeat(views, 1))
            noise = torch.randn(frames.shape[0] * views, D, device=device)
            gumbel = -torch.log(-torch.log1p(-torch.rand(frames.shape[0], K, device=device)).clamp_min(1e-38))
        return objective(frames, seen, noise, gumbel)

    if arguments.compile:
        forward = torch.compile(forward, mode="max-autotune" if device == "cuda" else "default")
    order, at = torch.randperm(len(data), device=device), 0
    kept = []

    def step():
        nonlocal order, at
        if at + batch > len(data):
            order, at = torch.randperm(len(data), device=device), 0
        frames = data.index_select(0, order[at : at + batch])
        at += batch
        loss, told = forward(frames)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norms = torch._foreach_norm([p.grad for p in model.parameters() if p.grad is not None])
        # A copy: max-autotune's graphs use the same memory again.
        kept.append(torch.cat([told, torch.stack(norms).norm()[None]]).clone())
        optimizer.step()
        if len(kept) == 50:
            assert torch.stack(kept).isfinite().all()
            kept.clear()

    def sync():
        if device == "cuda":
            torch.cuda.synchronize()

    rounds = []
    for round in range(arguments.rounds + 1):
        sync()
        started = time.perf_counter()
        for _ in range(arguments.steps):
            step()
        sync()
        # The first round warms up.
        if round > 0:
            rounds.append(arguments.steps * batch / (time.perf_counter() - started))
    print(json.dumps(rounds))


class Utilisation(threading.Thread):
    """Share of the time in which the GPU computes, as nvidia-smi sees it, while a process runs."""

    def __init__(self):
        super().__init__(daemon=True)
        self.samples, self.over = [], threading.Event()

    def run(self):
        query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        while not self.over.wait(0.2):
            answer = subprocess.run(query, capture_output=True, text=True)
            if answer.returncode == 0:
                self.samples.append(max(float(line) for line in answer.stdout.split()))

    def median(self):
        self.over.set()
        self.join()
        return statistics.median(self.samples) if self.samples else None


def watched(command, environment=None):
    """Standard output of a command, and the GPU's utilisation meanwhile."""
    watch = Utilisation() if shutil.which("nvidia-smi") else None
    if watch:
        watch.start()
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    used = watch.median() if watch else None
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {result.stderr[-2000:]}")
    return result.stdout, used


def steps_of(arguments, batch):
    return max(4, arguments.frames // batch)


def ours(arguments, device, network, stage, batch):
    command = [arguments.trainer, "throughput", "--device", device, "--network", network, "--stage", stage]
    command += ["--batch", str(batch), "--rounds", str(arguments.rounds), "--steps", str(steps_of(arguments, batch))]
    environment = dict(os.environ)
    if device == "cpu":
        environment["RAYON_NUM_THREADS"] = str(arguments.threads)
    text, used = watched([*command, "--json"], environment)
    report = json.loads(text)
    return report["measurements"][0]["rounds"], used, report["device"]


def theirs(arguments, compiled, network, stage, batch):
    command = [sys.executable, __file__, arguments.trainer, "--peer", f"{network},{stage},{batch}"]
    command += ["--torch", arguments.torch, "--threads", str(arguments.threads), "--rounds", str(arguments.rounds)]
    command += ["--steps", str(steps_of(arguments, batch))]
    command += ["--compile"] * compiled + ["--tf32"] * arguments.tf32
    text, used = watched(command)
    return json.loads(text.splitlines()[-1]), used, arguments.torch


def compare(arguments, network, stage, batch):
    """All engines in turn; a column that cannot run says why."""
    row = {"network": network, "stage": stage, "batch": batch, "engines": {}, "faults": {}}
    engines = {f"trainer {device}": lambda d=device: ours(arguments, d, network, stage, batch)
               for device in arguments.engine}
    for name, compiled in [("eager", False), ("compile", True)]:
        if name in arguments.modes:
            engines[f"PyTorch {name}"] = lambda c=compiled: theirs(arguments, c, network, stage, batch)
    for _ in range(arguments.turns):
        for name, measure in engines.items():
            if name in row["faults"]:
                continue
            try:
                rounds, used, where = measure()
            except RuntimeError as fault:
                row["faults"][name] = str(fault)
                print(f"{name}: {fault}", file=sys.stderr)
                continue
            found = row["engines"].setdefault(name, {"device": where, "rounds": [], "utilisation": []})
            found["rounds"] += rounds
            found["utilisation"] += [used] if used is not None else []
    for found in row["engines"].values():
        found["median"] = statistics.median(found["rounds"])
    peers = [found["median"] for name, found in row["engines"].items() if name.startswith("PyTorch")]
    if peers:
        for name, found in row["engines"].items():
            if name.startswith("trainer"):
                found["ratio"] = found["median"] / max(peers)
    return row


def table(rows):
    names = list(dict.fromkeys(name for row in rows for name in row["engines"]))
    lines = ["| network | stage | batch | " + " | ".join(names) + " | ratio |", "|---" * (len(names) + 4) + "|"]
    for row in rows:
        cells, ratios = [], []
        for name in names:
            found = row["engines"].get(name)
            used = statistics.median(found["utilisation"]) if found and found["utilisation"] else None
            share = f" ({of_gpu(used)[2:]})" if used is not None else ""
            cells.append(f"{found['median']:,.0f}{share}" if found else "failed")
            if found and "ratio" in found:
                ratios.append(f"{found['ratio']:.2f}")
        head = f"| {row['network']} | {row['stage']} | {row['batch']} | "
        lines.append(head + " | ".join(cells) + f" | {', '.join(ratios)} |")
    return "\n".join(lines)


def whole_fit(arguments, device):
    """Time from start to exported model, and accuracy, of the default fit of complete MNIST."""
    run, model = Path(arguments.out) / f"fit-{device}", Path(arguments.out) / f"model-{device}"
    for folder in (run, model):
        shutil.rmtree(folder, ignore_errors=True)
    started = time.perf_counter()
    _, used = watched([arguments.trainer, "fit", "--device", device, "--data", arguments.mnist, "--out", str(run)])
    watched([arguments.trainer, "export", str(run), "--out", str(model)])
    seconds = time.perf_counter() - started
    text, _ = watched([arguments.trainer, "eval", str(run), "--data", arguments.mnist, "--json"])
    return {"device": device, "seconds": seconds, "acc": json.loads(text)["scores"]["acc"], "utilisation": used}


def several_fits(arguments, device):
    """The same under several seeds, `--jobs` at once on one device."""
    out = Path(arguments.out) / f"seeds-{device}"
    shutil.rmtree(out, ignore_errors=True)
    command = [arguments.trainer, "benchmark", "--device", device, "--data", arguments.mnist, "--out", str(out)]
    started = time.perf_counter()
    text, used = watched([*command, "--seeds", str(arguments.seeds), "--jobs", str(arguments.jobs), "--json"])
    seconds, report = time.perf_counter() - started, json.loads(text)
    return {"device": device, "jobs": arguments.jobs, "seconds": seconds, "utilisation": used, "benchmark": report}


def of_gpu(used):
    return f", {used:.0f} % of the GPU" if used is not None else ""


def machine(arguments):
    """What the figures come from."""
    import platform

    cpu = [line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    found = {"processor": f"{cpu[0] if cpu else platform.machine()}, {os.cpu_count()} threads"}
    found["date"] = time.strftime("%Y-%m-%d")
    if arguments.modes:
        command = [sys.executable, "-c", "import torch; print(torch.__version__)"]
        found["PyTorch"] = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    if shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        found["GPU"] = subprocess.run(query, capture_output=True, text=True).stdout.strip()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trainer", help="the program")
    parser.add_argument("--engine", nargs="+", default=["cpu"], help="what trainer's --device takes")
    parser.add_argument("--torch", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--modes", nargs="*", choices=["eager", "compile"], default=["eager", "compile"])
    parser.add_argument("--network", nargs="*", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--stage", nargs="+", choices=STAGES, default=STAGES)
    parser.add_argument("--batch", nargs="+", type=int, default=[256, 4096])
    parser.add_argument("--threads", type=int, default=2, help="on the CPU")
    parser.add_argument("--tf32", action="store_true", help="let PyTorch round products to TF32")
    parser.add_argument("--turns", type=int, default=2, help="of each engine")
    parser.add_argument("--rounds", type=int, default=5, help="of a turn")
    parser.add_argument("--frames", type=int, default=8192, help="of a round")
    parser.add_argument("--mnist", help="folder of complete MNIST: time the default fit, too")
    parser.add_argument("--seeds", type=int, default=0, help="of that fit in all, besides")
    parser.add_argument("--jobs", type=int, default=4, help="of those at once on one device")
    parser.add_argument("--out", default="training")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    parser.add_argument("--steps", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--compile", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        return peer(arguments)
    out = Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    report = {"machine": machine(arguments), "rows": [], "fits": [], "seeds": []}
    for network in arguments.network:
        for stage in arguments.stage:
            for batch in arguments.batch:
                report["rows"].append(compare(arguments, network, stage, batch))
                (out / "training.json").write_text(json.dumps(report, indent=2))
                print(table(report["rows"][-1:]).splitlines()[-1], file=sys.stderr)
    told = dict(report["machine"])
    told |= {name: found["device"] for row in report["rows"] for name, found in row["engines"].items()}
    text = "; ".join(f"{name}: {value}" for name, value in told.items()) + "\n\n" + table(report["rows"])
    for device in arguments.engine if arguments.mnist else []:
        fit = whole_fit(arguments, device)
        report["fits"].append(fit)
        text += f"\n\nDefault fit of complete MNIST on {device}, export included: {fit['seconds']:.0f} s, "
        text += f"ACC {fit['acc']:.4f}{of_gpu(fit['utilisation'])}"
        if arguments.seeds:
            many = several_fits(arguments, device)
            report["seeds"].append(many)
            found = many["benchmark"]
            text += f"\n\n{arguments.seeds} seeds of it, {arguments.jobs} at once: {many['seconds']:.0f} s, ACC "
            text += f"{found['mean']:.4f}, minimum {found['minimum']:.4f}{of_gpu(many['utilisation'])}"
        (out / "training.json").write_text(json.dumps(report, indent=2))
    (out / "training.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
