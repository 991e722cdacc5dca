"""Compiles a film in Jsonnet: digests the pictures, and lets rjsonnet do the rest."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import rjsonnet


def main(film_path: str, garbage: str) -> None:
    """Print the requests of the film; `garbage` is `collected`, as rjsonnet does by itself, or `uncollected`."""
    path = Path(film_path)
    # Jsonnet cannot digest a file, so that the script that calls it hands the digests in, by path.
    digests = {
        f"refs/{picture.name}": hashlib.sha256(picture.read_bytes()).hexdigest()
        for picture in sorted((path.parent / "refs").iterdir())
    }
    sys.stdout.write(
        rjsonnet.evaluate_file(
            str(path),
            jpathdir=[str(Path(__file__).parent)],
            ext_codes={"digests": json.dumps(digests)},
            gc=garbage == "collected",
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
