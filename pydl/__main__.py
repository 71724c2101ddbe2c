"""The command line: `pydl info, demo, bench, selftest`. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""

import argparse
import importlib
import os
import sys

COMMANDS = {        # those of pydl/cli; a module is imported only when its command is named
    "info": "version, instruction set, threads, compiler",
    "bench": "how fast pydl is here, alone, against NumPy or PyTorch, or against an earlier run",
    "selftest": "check this installation, in seconds",
}


def main(arguments: list[str] | None = None) -> int:
    """Runs one command -> its exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        options = parser(arguments).parse_args(arguments)
        return options.command(options)
    except KeyboardInterrupt:
        print("\npydl: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())      # so that nothing is said at exit
        return 1


def parser(arguments: list[str]) -> argparse.ArgumentParser:
    """The whole grammar. Only the command and the demo that `arguments` name are imported, for its options."""
    from pydl import __version__
    from pydl.demos import DEMOS
    top = argparse.ArgumentParser(prog="pydl", description="Deep learning for the CPU.")
    top.add_argument("--version", action="version", version=f"pydl {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, line in COMMANDS.items():
        one = commands.add_parser(name, help=line, description=line[0].upper() + line[1:] + ".")
        if name in arguments:
            module = importlib.import_module(f"pydl.cli.{name}")
            module.add_arguments(one)
            one.set_defaults(command=module.run)
    demo_parser = commands.add_parser("demo", help="list the demos, or run one",
                                      description="Runs a demo; without a name, lists them.")
    demo_parser.set_defaults(command=list_demos)
    demos = demo_parser.add_subparsers(title="demos", metavar="NAME", dest="demo")
    for name, line in DEMOS.items():
        one = demos.add_parser(name, help=line, description=line[0].upper() + line[1:] + ".")
        one.set_defaults(command=run_demo)
        if name in arguments:
            from pydl.demos.harness import add_arguments
            add_arguments(one, name)
    return top


def list_demos(options: argparse.Namespace) -> int:
    from pydl.demos import DEMOS
    for name, line in DEMOS.items():
        print(f"{name:<13}{line}")
    print("\npydl demo NAME runs one; pydl demo NAME --help shows its options")
    return 0


def run_demo(options: argparse.Namespace) -> int:
    from pydl.demos.harness import run
    return run(options.demo, options)


if __name__ == "__main__":
    sys.exit(main())
