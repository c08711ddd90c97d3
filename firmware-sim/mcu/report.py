"""What the device's program takes: of flash, of memory, of instructions.

report.py symbols PROGRAM            fails if it could panic or allocate
report.py damage PROGRAM PART OUT    a copy with one bit of the model, or one digit, changed
report.py windows COUNTS             what a window takes; fails if a bound is missed
report.py stream PROGRAM COUNTS      what the windows of a stream take; fails if a bound is missed
report.py table PROGRAM FOLDER       the tables behind firmware-sim/docs/mcu.md; fails if a bound is missed
"""

import collections
import re
import subprocess
import sys

# Bytes, bytes, instructions a multiply-accumulate on inputs without zeros, and on digits.
CODE, RAM, DENSE, DIGIT = 9728, 8192, 2.6, 0.9
# Instructions for a window of 6x100.
WINDOW = {"front_end": 250_000, "decision": 500_000}


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


def symbols(program):
    """Name, kind, address and size of every symbol."""
    found = []
    for line in run("nm", "-SC", program).splitlines():
        if match := re.match(r"(\w+) (\w+) (\w) (.*)", line):
            found.append((match[4], match[3], int(match[1], 16), int(match[2], 16)))
    return found


def check_symbols(program):
    names = run("nm", "-C", program).splitlines()
    forbidden = re.compile(r"panic_|panicking|rust_begin_unwind|__rust_alloc|__rg_alloc|alloc::|malloc")
    if bad := [name for name in names if forbidden.search(name)]:
        sys.exit(f"{program} has what it must not have:\n" + "\n".join(bad))
    if not any("Engine" in name or "native" in name for name in names):
        sys.exit(f"{program} has no symbols to look at")
    print(f"{len(names)} symbols, none that panics or allocates")


def damage(program, part, out):
    content = bytearray(open(program, "rb").read())
    begin = {"model": b"CVIM", "digits": built(program, "digits.bin", 784), "stream": built(program, "stream.bin", 4096)}
    at = content.index(begin[part])
    if part == "stream":
        # One axis of a tenth of a second comes with its sign turned.
        for i in range(4800, 4800 + 160 * 6, 6):
            value = -int.from_bytes(content[at + i : at + i + 2], "little", signed=True)
            content[at + i : at + i + 2] = value.to_bytes(2, "little", signed=True)
    elif part == "model":
        content[at + 100_000] ^= 1
    else:
        # The first digit becomes one that no class looks like.
        content[at : at + 784] = bytes(255 * (i % 2) for i in range(784))
    open(out, "wb").write(content)


def built(program, name, count):
    """The first bytes of a file among the program's other outputs of the build."""
    folder = program.rsplit("/", 1)[0]
    return open(run("sh", "-c", f"ls -t {folder}/build/mcu-*/out/{name} | head -n 1").strip(), "rb").read(count)


def crate_of(path):
    path = path.rsplit(":", 1)[0]
    for part, crate in [
        ("firmware-sim/mcu", "the program: start, console, checks"),
        ("firmware-sim/src", "firmware-sim"),
        ("runtime/src", "runtime"),
        ("compiler-builtins", "memcpy and the like"),
        ("compiler_builtins", "memcpy and the like"),
        ("/library/", "core, not inlined"),
    ]:
        if part in path:
            return crate
    match = re.search(r"/registry/src/[^/]*/([a-z-]*)-\d", path)
    return match[1] if match else "start, exceptions"


def code_by_crate(program):
    """Bytes of code by the crate whose source they come from; what is inlined counts for the crate that it is inlined in."""
    _, start, size = section(program, ".text")
    text = "\n".join(hex(address) for address in range(start, start + size, 2))
    frames = collections.defaultdict(list)
    for line in run("addr2line", "-iae", program, input=text).splitlines():
        if line.startswith("0x"):
            address = int(line, 16)
        else:
            frames[address].append(crate_of(line))
    assembly = [(a & ~1, a + s) for name, _, a, s in symbols(program) if "runtime::kernels::arch::thumb" in name]
    ours = ("runtime", "firmware-sim", "the program: start, console, checks")
    crates = collections.Counter()
    for address, found in frames.items():
        crate = next((crate for crate in found if crate in ours), found[-1])
        if any(low <= address < high for low, high in assembly):
            crate = "runtime"
        crates[crate] += 2
    return crates


def section(program, name):
    for line in run("readelf", "-SW", program).splitlines():
        if match := re.search(rf"\s{re.escape(name)}\s+\w+\s+(\w+)\s+\w+\s+(\w+)", line):
            return name, int(match[1], 16), int(match[2], 16)
    return name, 0, 0


def counts(path):
    """Instructions of every marked run by its name; and by symbol, added up."""
    runs, by_symbol = collections.defaultdict(list), collections.defaultdict(collections.Counter)
    for line in run("c++filt", input=open(path).read()).splitlines():
        name, rest = line.split(" ", 1)
        symbol, count = rest.rsplit(" ", 1)
        if symbol == "-":
            runs[name].append(int(count))
        else:
            by_symbol[name][re.sub(r"::h[0-9a-f]{16}$|\[\w*\]", "", symbol)] += int(count)
    return runs, by_symbol


def windows(path):
    """Instructions of the front end and of whole decisions, which have bounds."""
    runs, _ = counts(path)
    for name, most in WINDOW.items():
        found = runs[name]
        print(f"{name}: {sum(found) / len(found):.0f} instructions on average, {max(found)} at most of {most}")
    if missed := [name for name, most in WINDOW.items() if max(runs[name]) > most]:
        sys.exit(f"out of bounds: {missed}")
    return runs


def stream(program, path):
    runs = windows(path)
    print(f"a sample: {sum(runs['sample']) / len(runs['sample']):.0f} instructions on average, {max(runs['sample'])} at most")
    for name, _, _, size in symbols(program):
        if re.search(r"MODEL|RING|MEMORY", name) and size > 64:
            print(f"{name}: {size} bytes")
    crates = code_by_crate(program)
    print("code: " + ", ".join(f"{crate} {size}" for crate, size in crates.most_common(4)) + f", all {sum(crates.values())} bytes")


def table(program, folder):
    missed = []

    def bound(what, found, most):
        if found > most:
            missed.append(f"{what}: {found}, at most {most}")

    print("\n| flash | bytes |\n|---|---|")
    model = next(size for name, _, _, size in symbols(program) if "MODEL" in name)
    print(f"| the model, in place | {model} |")
    crates = code_by_crate(program)
    for crate, size in crates.most_common():
        print(f"| code of {crate} | {size} |")
    print(f"| what static memory begins with | {section(program, '.data')[2]} |")
    bound("code of runtime", crates["runtime"], CODE)

    print("\n| RAM | bytes |\n|---|---|")
    static = section(program, ".data")[2] + section(program, ".bss")[2]
    frame = 0
    for name, kind, _, size in sorted(symbols(program), key=lambda symbol: -symbol[3]):
        if kind in "bBdD" and size > 16:
            print(f"| static {name.rsplit('::', 1)[-1]} | {size} |")
            frame = size if name.endswith("FRAME") else frame
    print(f"| all that is static, without the frame | {static - frame} |")
    bound("static RAM", static - frame, RAM)
    output = open(f"{folder}/mcu.txt").read()
    stack = re.search(r"stack: (\d+) bytes", output)[1]
    print(f"| stack, from the start to the end | {stack} |")

    kernel_runs, _ = counts(f"{folder}/kernels.counts")
    shapes = re.findall(r"layer (\d): (\d+) x (\d+)", open(f"{folder}/kernels.txt").read())
    nominal = sum(int(inputs) * int(outputs) for _, inputs, outputs in shapes)
    runs, by_symbol = counts(f"{folder}/mcu.counts")
    digits = runs["digit"]
    mean = sum(digits) / len(digits)
    print(f"\n| instructions | a digit, mean of {len(digits)} | by {nominal} multiply-accumulates | without zeros, one run | by the same |")
    print("|---|---|---|---|---|")
    dense = 0
    for layer, inputs, outputs in shapes:
        macs = int(inputs) * int(outputs)
        sparse, full = kernel_runs[f"layer{layer}"], kernel_runs[f"dense{layer}"][0]
        dense += full
        average = sum(sparse) / len(sparse)
        print(f"| layer {inputs}-{outputs} | {average:.0f} | {average / macs:.3f} of its own | {full} | {full / macs:.3f} of its own |")
    print(f"| layers | | | {dense} | {dense / nominal:.3f} |")
    print(f"| **frame to event** | {mean:.0f} | {mean / nominal:.3f} | | |")
    print(f"| the least and the most of the digits | {min(digits)}, {max(digits)} | {min(digits) / nominal:.3f}, {max(digits) / nominal:.3f} | | |")
    bound("instructions a multiply-accumulate without zeros", round(dense / nominal, 3), DENSE)
    bound("instructions a multiply-accumulate on digits", round(mean / nominal, 3), DIGIT)

    print("\n| symbol | instructions a digit |\n|---|---|")
    for symbol, count in by_symbol["digit"].most_common():
        if count >= len(digits) * 10:
            print(f"| `{symbol}` | {count / len(digits):.0f} |")
    print()
    if missed:
        sys.exit("out of bounds:\n" + "\n".join(missed))


if __name__ == "__main__":
    actions = {"symbols": check_symbols, "damage": damage, "windows": windows, "stream": stream, "table": table}
    if len(sys.argv) < 3 or sys.argv[1] not in actions:
        sys.exit(__doc__)
    actions[sys.argv[1]](*sys.argv[2:])
