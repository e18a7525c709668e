"""Replays catalog queries of real clients: usage replay.py TERRANE-BINARY [--record URL].

Each query file here (NAME.sql) has the answers of PostgreSQL 15 beside it (NAME.expected): for every
statement its columns, their types and its rows, over the tables of fixture.sql. Where the recordings of
../shared/corpus/clients are there, those with a NAME.expected here are replayed, too.

Identifiers differ from server to server: those of users' objects are shown as names. A number from 16384
in a statement stands for the relation that the last `^(name)$` pattern before it named.

`--record URL` writes the .expected files anew from a PostgreSQL 15 that `initdb -U terrane -E UTF8
--locale=C.UTF-8` made, with an empty database terrane.
"""

import pathlib
import re
import sys
import tempfile

from psycopg import pq

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from terrane_server import Server  # noqa: E402 - found where the line above looks

HERE = pathlib.Path(__file__).resolve().parent
PLACES = [parent / "shared" / "corpus" / "clients" for parent in HERE.parents]
RECORDED = next((place for place in PLACES if place.is_dir()), PLACES[2])
# Objects that PostgreSQL has beside what the fixture makes; their rows are left out of the answers.
OWN_OF_POSTGRESQL = ("plpgsql", "postgres", "template0", "template1")
# Terrane has a schema with functions and an extension of this name; the user and the database are called so, too.
OWN_OF_TERRANE = "terrane"
LISTS_SCHEMA_FIRST = re.compile(r"^\s*FROM pg_catalog\.pg_(namespace|extension|proc) ", re.M)


def statements(text):
    """The statements of a file in which each stands after a line `-- [simple]` or `-- [extended]`."""
    parts = re.split(r"^-- \[(?:simple|extended)\]\n", text, flags=re.M)[1:]
    return [re.sub(r"^-- SERVER ERROR.*\n?", "", part, flags=re.M).strip() for part in parts]


class Replay:
    """One connection, with names for the identifiers it will see."""

    def __init__(self, url):
        self.connection = pq.PGconn.connect(url.encode())
        if self.connection.status != pq.ConnStatus.OK:
            raise SystemExit(self.connection.error_message.decode())
        for statement in (HERE / "fixture.sql").read_text().split(";\n"):
            if statement.strip():
                self.rows(statement)
        self.user = self.rows("SELECT current_user")[0][0]
        self.database = self.rows("SELECT current_database()")[0][0]
        self.names = {}
        for oid, name in self.rows("SELECT oid, relname FROM pg_class WHERE oid >= 16384"):
            self.names[oid] = name
        for oid, name in self.rows("SELECT oid, conname FROM pg_constraint WHERE oid >= 16384"):
            self.names[oid] = name
        self.types = dict(self.rows("SELECT oid, typname FROM pg_type WHERE oid < 16384"))
        self.relation = None

    def rows(self, sql):
        result = self.connection.exec_(sql.encode())
        if result.status not in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
            raise SystemExit(f"{result.error_message.decode()}\n{sql}")
        return [
            [self.text(result, row, column) for column in range(result.nfields)]
            for row in range(result.ntuples)
        ]

    @staticmethod
    def text(result, row, column):
        value = result.get_value(row, column)
        return None if value is None else value.decode()

    def statement(self, sql):
        """The statement with this server's identifiers."""
        pattern = re.search(r"'\^\((\w+)\)\$'", sql)
        if pattern:
            self.relation = pattern.group(1)
        oid = next((oid for oid, name in self.names.items() if name == self.relation), "0")
        return re.sub(r"\b1[67]\d{3}\b", oid, sql)

    def cell(self, value, type_name):
        if value is None:
            return "NULL"
        if type_name == "oid":
            return self.names.get(value, value)
        shown = value.replace(self.user, "USER")
        if shown == self.database:
            shown = "DATABASE"
        return shown.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")

    def answer(self, sql):
        """Columns with types, then rows, as lines; or the error's SQLSTATE."""
        result = self.connection.exec_(self.statement(sql).encode())
        if result.status == pq.ExecStatus.FATAL_ERROR:
            state = result.error_field(pq.DiagnosticField.SQLSTATE)
            return [f"ERROR {state.decode()} {result.error_message.decode().strip()}"]
        types = [self.types.get(str(result.ftype(i)), "?") for i in range(result.nfields)]
        names = [result.fname(i).decode() for i in range(result.nfields)]
        lines = ["\t".join(f"{name}:{type_}" for name, type_ in zip(names, types))]
        fields = [result.fname(i) for i in range(result.nfields)]
        # How its machine set a server up: only the columns are compared.
        is_of_machine = "s.source <> 'default'" in sql
        rows = []
        for row in range(result.ntuples):
            cells = [self.text(result, row, column) for column in range(result.nfields)]
            if is_of_machine:
                continue
            # Sizes are of one storage or the other.
            cells = ["SIZE" if name == b"Size" else cell for name, cell in zip(fields, cells)]
            if cells and cells[0] in OWN_OF_POSTGRESQL:
                continue
            if cells and cells[0] == OWN_OF_TERRANE and LISTS_SCHEMA_FIRST.search(sql):
                continue
            rows.append("\t".join(self.cell(c, t) for c, t in zip(cells, types)))
        ordered = re.search(r"order\s+by", sql, re.I)
        return lines + (rows if ordered else sorted(rows))


def replay(url, path):
    """All answers of a file, one block a statement."""
    session = Replay(url)
    blocks = []
    for number, sql in enumerate(statements(path.read_text()), 1):
        blocks.append("\n".join([f"-- {number}"] + session.answer(sql)) + "\n")
    session.connection.finish()
    return blocks


def files():
    """The query files there are, with the file of their answers."""
    found = [(path, path.with_suffix(".expected")) for path in sorted(HERE.glob("*.sql"))]
    found = [(path, expected) for path, expected in found if path.name != "fixture.sql"]
    for expected in sorted(HERE.glob("*.expected")):
        path = RECORDED / f"{expected.stem}.sql"
        if path.exists():
            found.append((path, expected))
    return found


def record(url):
    for path, expected in files():
        with_schema = f"{url} options='-c client_min_messages=error'"
        connection = pq.PGconn.connect(url.encode())
        connection.exec_(b"DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION pg_database_owner; "
                         b"GRANT USAGE ON SCHEMA public TO public; "
                         b"COMMENT ON SCHEMA public IS 'standard public schema'")
        connection.finish()
        expected.write_text("".join(replay(with_schema, path)))
        print(f"recorded {expected.name}")


def compare(path, expected, binary):
    with tempfile.TemporaryDirectory() as directory:
        server = Server(binary, directory)
        try:
            answered = replay(server.url, path)
        finally:
            server.stop()
    wanted = re.split(r"^(?=-- \d+$)", expected.read_text(), flags=re.M)[1:]
    failed = 0
    for number, (ours, theirs) in enumerate(zip(answered, wanted), 1):
        if ours == theirs:
            continue
        failed += 1
        print(f"{path.name} statement {number}")
        ours, theirs = ours.splitlines(), theirs.splitlines()
        for line in [line for line in theirs if line not in ours][:4]:
            print(f"  PostgreSQL: {line[:200]}")
        for line in [line for line in ours if line not in theirs][:4]:
            print(f"  Terrane:    {line[:200]}")
    failed += abs(len(wanted) - len(answered))
    print(f"{path.name}: {len(wanted) - failed} of {len(wanted)} answered as PostgreSQL 15 does")
    return failed


def main():
    if len(sys.argv) == 4 and sys.argv[2] == "--record":
        record(sys.argv[3])
        return
    failed = sum(compare(path, expected, sys.argv[1]) for path, expected in files())
    if not RECORDED.is_dir():
        print(f"skipped: the recordings of {RECORDED}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
