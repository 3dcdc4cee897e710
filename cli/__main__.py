"""Lets `python -m cli` do what `meshscope` does."""

from cli.main import main

main()
