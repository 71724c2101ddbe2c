"""The commands of `pydl`, one a module: add_arguments(parser), and run(options) -> exit code. pydl/__main__.py is the grammar."""
