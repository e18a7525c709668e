"""The README's tour: usage tour.py TERRANE-BINARY.

Loads examples/flights with psql into a new server and asks the tour's questions; the answers must be those of
examples/flights/tour.expected, which PostgreSQL 15 gave.
"""

import difflib
import pathlib
import subprocess
import sys
import tempfile

from terrane_server import Server

ROOT = pathlib.Path(__file__).resolve().parent.parent
FLIGHTS = ROOT / "examples" / "flights"


def psql(line, *arguments):
    command = line.split() + ["-X", "-v", "ON_ERROR_STOP=1", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise SystemExit(f"psql failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def main(binary):
    with tempfile.TemporaryDirectory() as directory:
        server = Server(binary, f"{directory}/data")
        try:
            psql(server.psql, "-f", FLIGHTS / "load.sql")
            answers = psql(server.psql, "-f", FLIGHTS / "tour.sql")
        finally:
            server.stop()
    expected = (FLIGHTS / "tour.expected").read_text()
    difference = list(difflib.unified_diff(expected.splitlines(), answers.splitlines(), lineterm=""))
    print("\n".join(difference) or "the tour answers as written")
    return 1 if difference else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
