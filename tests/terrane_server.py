"""A running terrane, for the tests here that are written in Python."""

import re
import subprocess
import threading


class Server:
    """A terrane on a directory and a free port."""

    def __init__(self, binary, directory, *options):
        self.directory = directory
        self.process = subprocess.Popen(
            [binary, "start", "--data", directory, "--listen", "127.0.0.1:0", *options],
            stdout=subprocess.PIPE,
            text=True,
        )
        for line in self.process.stdout:
            match = re.search(r"psql -h (\S+) -p (\d+).*", line)
            if match:
                self.psql = match.group(0).strip()
                self.host, self.port = match.group(1), int(match.group(2))
                break
        else:
            raise SystemExit("terrane did not say where it listens")
        self.url = f"host={self.host} port={self.port} user=terrane dbname=terrane"
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def stop(self):
        """Stops it in good order, and answers its exit code; one that is gone has another than 0."""
        self.process.terminate()
        return self.process.wait(timeout=20)
