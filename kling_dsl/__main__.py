"""Runs the command line as `python -m kling_dsl`."""

from kling_dsl.cli import main

main()
