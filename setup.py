"""Builds the C kernels once per instruction set and the Cython modules on top of them.

Environment: PYDL_BUILD_ISA=avx2[,...] builds only those beside base; PYDL_SANITIZE=1 builds with ASan and UBSan;
PYDL_ABI3=1 builds against the limited API. CC and CFLAGS are honoured.
"""
import hashlib
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent
CSRC = ROOT / "csrc"

# Instruction sets by target: name -> flags. Each becomes one object with one exported table.
ISAS = {
    "x86_64": {
        "avx2": ["-mavx2", "-mfma"],
        "avx512": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma"],
    },
    "aarch64": {"neon": ["-fno-schedule-insns"]},
}
PLAIN_SOURCES = ["dispatch.c", "threads.c", "cpus.c", "alloc.c", "trace.c", "plan.c", "plan_memory.c", "plan_fuse.c",
                 "plan_strips.c", "plan_inputs.c", "plan_constants.c", "arena.c"]

SANITIZE = os.environ.get("PYDL_SANITIZE") == "1"
ABI3 = os.environ.get("PYDL_ABI3") == "1"
COMMON = ["-std=gnu11", "-g0", "-fPIC", "-fvisibility=hidden", "-pthread"]
if SANITIZE:
    CHECKS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]
    COMMON = [*COMMON, *CHECKS, "-g1", "-DPD_DEBUG", "-DPD_SANITIZE"]
else:
    COMMON = [*COMMON, "-fno-asynchronous-unwind-tables"]   # nothing unwinds through C; a tenth of the size
OPTIMISE = ["-O1" if SANITIZE else "-O2"]
VECTORISE = ["-O2", "-ftree-vectorize", "-fvect-cost-model=dynamic"]     # two thirds of the code of -O3, and as fast
EPILOGUES = ["--param", "vect-epilogues-nomask=0"]                          # gcc: rests of loops without vectors of their own
# A quarter less code, and less speed: for processors without AVX2, and for all Cython modules but HOT.
SMALL = OPTIMISE if SANITIZE else ["-Os"]
HOT = {"backward", "hyper", "launch", "plan", "step", "tape", "tensor", "arithmetic", "operands"}
# For the others: Python's own way with integers, strings and methods, which is less code than Cython's.
PLAIN = [f"-DCYTHON_{name}=0" for name in ("USE_PYLONG_INTERNALS", "USE_UNICODE_INTERNALS", "USE_DICT_VERSIONS", "UNPACK_METHODS")]
LEAN = ["-Wl,-s", "-Wl,-z,noseparate-code"] if sys.platform == "linux" else []
KERNEL = ["-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-Wall", "-Wextra"]


class BuildExt(build_ext):
    """Compiles csrc into objects (one per instruction set) and links them into the extension that names them."""

    def finalize_options(self):
        """Translates the Cython modules; here, so that metadata and sdist do not wait for it."""
        self.distribution.ext_modules[:] = cythonize(
            self.distribution.ext_modules,
            build_dir="build/cython",
            compiler_directives=DIRECTIVES,
            nthreads=0 if sys.platform == "win32" else os.cpu_count(),
        )
        super().finalize_options()

    def build_extensions(self):
        self.parallel = self.parallel or os.cpu_count()
        every = self.extensions
        native = next(extension for extension in every if extension.name == "pydl._core.native")
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            kernels = [pool.submit(self.compile_object, *job) for job in self.kernel_jobs()]
            for extension in every:
                level = OPTIMISE if extension.name.rpartition(".")[2] in HOT else [*SMALL, *PLAIN]
                extension.extra_compile_args = [*COMMON, *level, "-Wno-unused-function", *self.defines]
                extension.extra_link_args = ["-pthread", *(CHECKS if SANITIZE else LEAN)]
            self.extensions = [extension for extension in every if extension is not native]
            super().build_extensions()
            native.extra_objects = [kernel.result() for kernel in kernels]
        native.depends = [*native.depends, *native.extra_objects]
        self.extensions = [native]
        super().build_extensions()
        self.extensions = every

    def kernel_jobs(self):
        """What to compile: (compiler, source, flags); the slowest first. Notes in `defines` which instruction sets there will be."""
        compiler = shlex.split(os.environ.get("CC") or self.compiler.compiler_so[0])
        target = subprocess.run([*compiler, "-dumpmachine"], capture_output=True, text=True, check=True).stdout.split("-")[0]
        isas = ISAS.get(target, {})
        if only := os.environ.get("PYDL_BUILD_ISA"):
            isas = {name: flags for name, flags in isas.items() if name in only.split(",")}
        clang = "clang" in subprocess.run([*compiler, "--version"], capture_output=True, text=True, check=True).stdout
        vectorise = ["-O2"] if clang else [*VECTORISE, *EPILOGUES]
        self.defines = [f"-DPD_HAVE_{name.upper()}" for name in isas]
        return [
            *((compiler, f"isa_{name}.c", [*(OPTIMISE if SANITIZE else vectorise), *flags]) for name, flags in isas.items()),
            (compiler, "isa_base.c", SMALL),
            *((compiler, source, [*OPTIMISE, *self.defines]) for source in PLAIN_SOURCES),
        ]

    def compile_object(self, compiler, source, flags):
        command = [*compiler, *COMMON, *KERNEL, *flags, *shlex.split(os.environ.get("CFLAGS", "")), "-c", str(CSRC / source)]
        newest = max(path.stat().st_mtime for path in CSRC.iterdir())
        digest = hashlib.sha256("\0".join(command).encode()).hexdigest()[:16]
        target = Path(self.build_temp) / "csrc" / f"{source[:-2]}-{digest}.o"
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.stat().st_mtime < newest:
            subprocess.run([*command, "-o", str(target)], check=True)
        return str(target)


def extensions():
    sources = sorted((ROOT / "pydl").glob("**/*.pyx"))
    return [
        Extension(
            ".".join(path.relative_to(ROOT).with_suffix("").parts),
            [str(path.relative_to(ROOT))],
            include_dirs=["csrc"],
            depends=["csrc/pydl.h", "csrc/kernels.inc"],
            define_macros=[("Py_LIMITED_API", "0x030B0000")] if ABI3 else [],
            py_limited_api=ABI3,
        )
        for path in sources
    ]


DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
    "cdivision": True,
    "binding": True,
    "always_allow_keywords": True,
    "show_performance_hints": False,
}

setup(
    ext_modules=extensions(),
    cmdclass={"build_ext": BuildExt},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if ABI3 else {},
)
