"""libFuzzer's loop around the target, for headers.py. Arguments: a check to take out or '', then its own."""

import sys

import atheris

with atheris.instrument_imports(include=["workers.sealing"]):
    from tests.fuzz.target import try_one
    from tests.fuzz.weakened import weakened

if __name__ == "__main__":
    with weakened(sys.argv[1]):
        atheris.Setup([sys.argv[0], *sys.argv[2:]], try_one)
        atheris.Fuzz()
