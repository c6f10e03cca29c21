"""Write the software bill of materials of the server to a file, in CycloneDX: `python requirements/sbom.py FILE`.

It lists what the image contains of Python: the pins of the run-time dependencies and of the extra `postgresql`, with
their hashes. `cyclonedx-py` makes it; this adds the version of the server, which `pyproject.toml` does not contain.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from headwater import __version__

ROOT = Path(__file__).parent.parent
PINS = ("run.txt", "postgresql.txt")


def write(file: Path) -> None:
    """Write the document. Its folder is created if needed.

    Raises:
        CalledProcessError: `cyclonedx-py` failed, or its document does not follow the schema. It has said why.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    command = ["requirements", "-", "--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible", "--validate"]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "cyclonedx_py", *command],
        input="".join((ROOT / "requirements" / name).read_text() for name in PINS),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    document = json.loads(done.stdout)
    document["metadata"]["component"] |= {"version": __version__, "purl": f"pkg:pypi/headwater@{__version__}"}
    file.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
