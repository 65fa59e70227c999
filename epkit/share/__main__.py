"""`python -m epkit.share convert in.pkl out.safetensors`: a published dictionary as one of ours.

Prints K, D and the size of the file that was written. Trouble is one sentence and exit status 2.

Does not know: formats; `read_published` does.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from epkit.share.published import read_published


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m epkit.share", description="Convert formats.")
    commands = parser.add_subparsers(dest="command", required=True)
    convert = commands.add_parser("convert", help="the author's pickle to a safetensors file")
    convert.add_argument("source", help="a pickle here, or user/repo/path/in/it.pkl on the hub")
    convert.add_argument("target", type=Path, help="the file to write; one that is there goes")
    convert.add_argument("--texts", type=int, default=3, help="texts kept of every region (3)")
    given = parser.parse_args(arguments)
    try:
        if given.target.suffix != ".safetensors":
            raise ValueError(f"{given.target} must end in .safetensors")
        d = read_published(given.source, texts=given.texts)
        d.save(given.target)
    except (ValueError, OSError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    size = given.target.stat().st_size
    print(f"{given.target}: K = {len(d):,}, D = {len(d.centre):,}, {size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
