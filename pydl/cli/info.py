"""`pydl info`: what a bug report should say."""
from __future__ import annotations

import argparse
import json
import platform
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "What pydl runs on: what a bug report should say."
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(options: argparse.Namespace) -> int:
    facts = gather_facts()
    if options.json:
        print(json.dumps(facts))
    else:
        for name, value in facts.items():
            print(f"{name:<16}{' '.join(value) if isinstance(value, list) else value}")
    return 0


def gather_facts() -> dict[str, Any]:
    """Versions, instruction sets, threads, and the C compiler that built the kernels."""
    import numpy

    import pydl
    from pydl._core.native import compiler
    return {
        "pydl": pydl.__version__,
        "instructions": pydl.current_isa(),
        "available": list(pydl.available_isas()),
        "threads": pydl.get_num_threads(),
        "compiler": compiler(),
        "python": f"{platform.python_version()} ({platform.python_compiler()})",
        "numpy": numpy.__version__,
        "machine": platform.machine(),
        "system": platform.platform(),
    }
