"""The kernels of the fused scan compiled for an H100, which need not be here: `python -m tests.training.compiled`.

It prints a line of JSON for each: registers of a thread, bytes that are spilled, and shared memory.
"""

import itertools
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from lmrnn.training.fleet import fused, kernels

H100 = GPUTarget("cuda", 90, 32)
CUOBJDUMP = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
NUMBERS, COUNTS = ("values", "states", "deltas", "weights"), ("others", "longest", "begin", "reach")


def compiled(kernel, listed, numbers="fp32", nonlinearity="relu", leak=1.0, precision="ieee", neurons=256):
    """What one kernel takes of the GPU."""
    kind = dict(fused.LISTS if listed else fused.MATRIX)
    options = {"num_warps": kind.pop("num_warps")}
    constants = {"N": neurons, "LIST": int(fused.LISTED_SHARE * neurons), "LEAK": leak, "NONLINEARITY": nonlinearity}
    constants |= {"PRECISION": precision, "LISTED": listed, "TRIALS": fused.TRIALS, **kind}
    types = {**dict.fromkeys(NUMBERS, f"*{numbers}"), **dict.fromkeys(COUNTS, "*i32"), "rows": "i32"}
    names = kernel.arg_names
    aligned = {(place,): [["tt.divisibility", 16]] for place, name in enumerate(names) if name in types}
    signature = {name: types.get(name, "constexpr") for name in names}
    source = ASTSource(kernel, signature, {(names.index(name),): value for name, value in constants.items()}, aligned)
    made = triton.compile(source, target=H100, options=options)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(made.asm["cubin"])
        file.flush()
        said = subprocess.run([CUOBJDUMP, "-res-usage", file.name], capture_output=True, text=True, check=True).stdout
    found = {name: int(re.search(rf"{name}:(\d+)", said)[1]) for name in ("REG", "LOCAL", "STACK")}
    return {"registers": found["REG"], "spilled": found["LOCAL"] + found["STACK"], "shared": made.metadata.shared}


def main(every):
    """The default network's kernels, or those of every kind of network."""
    kinds = [("fp32", "relu", 1.0, "ieee")]
    if every:
        networks = itertools.product(("relu", "tanh", "softplus"), (1.0, 0.3))
        kinds = [("fp32", *network, precision) for network in networks for precision in ("ieee", "tf32")]
        kinds.append(("fp64", "softplus", 0.3, "ieee"))
    for kernel, listed, kind in itertools.product((kernels.forward, kernels.backward), (True, False), kinds):
        found = compiled(kernel, listed, *kind)
        print(json.dumps({"kernel": kernel.__name__, "listed": listed, "kind": kind, **found}), flush=True)


if __name__ == "__main__":
    main("--every" in sys.argv)
