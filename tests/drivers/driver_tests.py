"""Runs the functions named test_* of a module against one server, and prints one line each."""

import pathlib
import sys
import tempfile
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from terrane_server import Server  # noqa: E402 - found where the line above looks


def run(names, closing, server_type=Server):
    """Ends the process: with 0 if all passed and the server stopped cleanly. `closing` ends the count's line."""
    tests = [(name, test) for name, test in names.items() if name.startswith("test_")]
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        server = server_type(sys.argv[1], directory)
        for name, test in tests:
            try:
                test(server)
                print(f"{name}: ok")
            except Exception as error:  # noqa: BLE001 - every failure is reported
                failed += 1
                line = traceback.extract_tb(error.__traceback__)[-1]
                where = f"{pathlib.Path(line.filename).name}:{line.lineno}"
                print(f"{name}: FAILED at {where}: {line.line}: {error!r}"[:2000])
        if server.process.poll() is not None:
            failed += 1
            print("the server is gone")
        elif server.stop() != 0:
            failed += 1
            print("the server did not stop cleanly")
    print(f"{len(tests) - failed} of {len(tests)} {closing}")
    sys.exit(bool(failed))
