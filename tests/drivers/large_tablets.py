"""Splits of large tablets: usage large_tablets.py TERRANE-BINARY [GIGABYTES...], 0.1 and 1 unless said.

A tablet's children share its files, so a split writes METADATA's rows only, however large the tablet is. Each table takes its
size on the disk. What the process writes is counted by the system, in /proc.
"""

import os
import random
import sys
import tempfile
import time

from psycopg_sessions import PsycopgServer

VALUE_BYTES = 10_000
ROWS_A_COPY = 10_000
# A split may write this much.
BYTES_MAX = 1_000_000


def bytes_written(server):
    with open(f"/proc/{server.process.pid}/io", encoding="ascii") as io:
        counts = dict(line.split(": ") for line in io)
    return int(counts["wchar"])


def fill(session, rows):
    # What is cut together from random bytes does not compress.
    pool = os.urandom(1 << 24)
    draw = random.Random(1)
    for start in range(0, rows, ROWS_A_COPY):
        with session.cursor().copy("copy large from stdin (format binary)") as copy:
            copy.set_types(["int4", "bytea"])
            for key in range(start, min(start + ROWS_A_COPY, rows)):
                at = draw.randrange(len(pool) - VALUE_BYTES)
                copy.write_row((key, pool[at : at + VALUE_BYTES]))


def wait_until_idle(session):
    session.execute("checkpoint")
    while session.execute("select count(*) from terrane.jobs").fetchone() != (0,):
        time.sleep(0.5)


def split(server, gigabytes):
    """A tablet of this size is cut three times, put together, and cut again, and has its rows all the same."""
    rows = int(gigabytes * 1e9 / VALUE_BYTES)
    with server.connect(autocommit=True) as session:
        session.execute(
            "create table large (k int primary key, v bytea) with (history = '0', max_tablet_size = '100GB')"
        )
        fill(session, rows)
        wait_until_idle(session)
        stored, files = session.execute(
            "select sum(size_bytes), count(*) from terrane.sstables where table_name = 'large'"
        ).fetchone()
        assert stored > rows * VALUE_BYTES, stored
        for cut in [rows // 3, rows // 2, rows * 4 // 5, None, rows // 4]:
            before, began = bytes_written(server), time.monotonic()
            if cut is None:
                session.execute("select terrane.merge('large')")
            else:
                session.execute("select terrane.split('large', %s)", (cut,))
            milliseconds = (time.monotonic() - began) * 1e3
            wrote = bytes_written(server) - before
            what = "three merges" if cut is None else "a split"
            print(f"{int(stored) / 1e9:.1f} GB in {files} files: {what} wrote {wrote:,} bytes in {milliseconds:.0f} ms", flush=True)
            assert wrote < BYTES_MAX, wrote
        tablets = session.execute("select count(*) from terrane.tablets where table_name = 'large'").fetchone()
        assert tablets == (2,), tablets
        assert session.execute("select count(*), min(k), max(k) from large").fetchone() == (rows, 0, rows - 1)
        session.execute("drop table large")


def main():
    with tempfile.TemporaryDirectory() as directory:
        server = PsycopgServer(sys.argv[1], directory)
        for gigabytes in sys.argv[2:] or ["0.1", "1"]:
            split(server, float(gigabytes))
        assert server.stop() == 0


if __name__ == "__main__":
    main()
