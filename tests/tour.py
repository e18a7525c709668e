"""The README's tours: usage tour.py TERRANE-BINARY.

Loads examples/flights and examples/webtable with psql into a new server and asks each tour's questions; the answers must be
those of its tour.expected, which for flights PostgreSQL 15 gave.
"""

import difflib
import pathlib
import subprocess
import sys
import tempfile

from terrane_server import Server

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOURS = ["flights", "webtable"]


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
            differences = [difference for name in TOURS for difference in taken(server, name)]
        finally:
            server.stop()
    print("\n".join(differences) or "the tours answer as written")
    return 1 if differences else 0


def taken(server, name):
    """Where a tour answers otherwise than is written."""
    tour = ROOT / "examples" / name
    psql(server.psql, "-f", tour / "load.sql")
    answers = psql(server.psql, "-f", tour / "tour.sql")
    expected = (tour / "tour.expected").read_text()
    return difflib.unified_diff(expected.splitlines(), answers.splitlines(), lineterm="")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
