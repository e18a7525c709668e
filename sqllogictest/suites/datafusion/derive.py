#!/usr/bin/env python3
"""Derives these suites from the .slt files of the crate datafusion-sqllogictest.

    derive.py TEST_FILES OUT [HOST PORT USER DATABASE]

TEST_FILES is the crate's folder test_files (`cargo fetch` of a project that depends on it puts it under
~/.cargo/registry/src). A PostgreSQL 15 that trusts USER decides what is kept:

- Statements it accepts, after a change of type names that only DataFusion has (TINYINT, INT UNSIGNED,
  DOUBLE, STRING). External tables become tables filled with rows of our own making, for the crate does not
  carry the data files.
- Queries it accepts and whose answer does not depend on the order of rows or on the plan: each is asked
  again with every table's rows shuffled and other join and grouping methods. What keeps its order under ORDER
  BY stays `nosort`, what keeps its rows becomes `rowsort`, the rest goes.
- EXPLAIN, SET, COPY and whatever is expected to fail goes.

Expected results are left empty; `terrane-sqllogictest complete` fills them in.
"""

import os
import random
import re
import socket
import struct
import sys

FILES = """join.slt.part joins.slt join_is_not_distinct_from.slt join_limit_pushdown.slt lateral_join.slt
sort_merge_join.slt null_aware_anti_join.slt pwmj.slt eliminate_outer_join.slt push_down_filter_outer_joins.slt
same_column_name_cross_join.slt propagate_empty_relation_outer_join.slt nested_loop_join_spill.slt
group_by.slt group.slt grouping.slt window.slt window_limits.slt window_topk_pushdown.slt window_topn.slt
lead_lag_extreme_offsets.slt subquery.slt subquery_sort.slt cte.slt union.slt
pg_compat/pg_compat_null.slt pg_compat/pg_compat_simple.slt pg_compat/pg_compat_type_coercion.slt
pg_compat/pg_compat_types.slt pg_compat/pg_compat_union.slt pg_compat/pg_compat_window.slt""".split()

HEADER = """# Licensed to the Apache Software Foundation (ASF) under one
# or more contributor license agreements.  See the NOTICE file
# distributed with this work for additional information
# regarding copyright ownership.  The ASF licenses this file
# to you under the Apache License, Version 2.0 (the
# "License"); you may not use this file except in compliance
# with the License.  You may obtain a copy of the License at
#
#   http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing,
# software distributed under the License is distributed on an
# "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY
# KIND, either express or implied.  See the License for the
# specific language governing permissions and limitations
# under the License.
#
# Changed: derived by derive.py from datafusion-sqllogictest 55.2.0, {source}.
# numbers are compared by value
"""

VARIANTS = [
    "SET enable_hashjoin = off; SET enable_hashagg = off",
    "SET enable_mergejoin = off; SET enable_nestloop = off",
    "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off",
    "SET join_collapse_limit = 1; SET enable_incremental_sort = off",
]


class Refused(Exception):
    """The server answered with an error."""


class Server:
    """Just enough of the protocol: simple queries, text results, no password."""

    def __init__(self, host, port, user, database):
        self.socket = socket.create_connection((host, port))
        self.stream = self.socket.makefile("rb")
        text = f"user\0{user}\0database\0{database}\0\0".encode()
        self.socket.sendall(struct.pack("!ii", len(text) + 8, 196608) + text)
        self.finish()

    def finish(self):
        rows, error = [], None
        while True:
            kind, length = struct.unpack("!ci", self.stream.read(5))
            body = self.stream.read(length - 4)
            if kind == b"D":
                rows.append(self.values(body))
            elif kind == b"E":
                error = body.decode(errors="replace").replace("\0", " ")
            elif kind in b"GH":
                raise SystemExit("COPY is not spoken here")
            elif kind == b"Z":
                if error:
                    raise Refused(error)
                return rows

    @staticmethod
    def values(body):
        count, at, values = struct.unpack_from("!h", body)[0], 2, []
        for _ in range(count):
            length = struct.unpack_from("!i", body, at)[0]
            at += 4
            if length < 0:
                values.append(None)
            else:
                values.append(body[at : at + length].decode())
                at += length
        return tuple(values)

    def run(self, sql):
        text = sql.encode() + b"\0"
        self.socket.sendall(b"Q" + struct.pack("!i", len(text) + 4) + text)
        return self.finish()


class Record:
    """A statement or query of a file."""

    def __init__(self, kind, expectation, sql, comments, conditions):
        self.kind, self.expectation, self.sql = kind, expectation, sql
        self.comments, self.conditions = comments, conditions
        self.order = None


def records(path):
    """The records of a file, includes followed."""
    lines = open(path, encoding="utf-8").read().split("\n")
    found, comments, conditions, at = [], [], [], 0
    while at < len(lines):
        words = lines[at].split()
        if not words:
            comments = []
        elif lines[at].startswith("#"):
            comments.append(lines[at])
        elif words[0] in ("skipif", "onlyif"):
            conditions.append((words[0], words[1]))
        elif words[0] == "include":
            found += records(os.path.join(os.path.dirname(path), words[1]))
        elif words[0] in ("statement", "query"):
            sql, at = [], at + 1
            while at < len(lines) and lines[at].strip() not in ("", "----"):
                sql.append(lines[at])
                at += 1
            if at < len(lines) and lines[at].strip() == "----":
                while at < len(lines) and lines[at] != "":
                    at += 1
            text = "\n".join(sql).strip().rstrip(";").strip()
            found.append(Record(words[0], words[1:], text, comments[-3:], conditions))
            comments, conditions = [], []
        at += 1
    return found


# --- rows for external tables ------------------------------------------------------------------------

def quoted(value):
    if value is None:
        return "NULL"
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


def aggregate_test_100(rng):
    """c1 … c13 in the ranges of DataFusion's file. Fractions are exact in binary, so that sums are."""
    rows = []
    for i in range(100):
        word = "".join(rng.choice("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") for _ in range(30))
        rows.append((
            rng.choice("abcde"), rng.randint(1, 5), rng.randint(-128, 127), rng.randint(-32768, 32767),
            rng.randint(-2**31, 2**31 - 1), rng.randint(-2**63, 2**63 - 1), rng.randint(0, 255),
            rng.randint(0, 65535), rng.randint(0, 2**32 - 1), str(rng.randint(2**60, 2**63 - 1)),
            (rng.randint(1, 1023) * 2 + 1) / 4096, (i * 41 % 100 + 1) / 128, word,
        ))
    return rows


FILES_OF_ROWS = {
    "aggregate_test_100.csv": aggregate_test_100,
    "aggregate_test_100_with_dates.csv": lambda rng: [
        row + (f"2024-{1 + i % 12:02}-{1 + i % 28:02}",) for i, row in enumerate(aggregate_test_100(rng))
    ],
    "window_1.csv": lambda rng: [(i * 7 + rng.randint(0, 3), i * 3 + rng.randint(0, 2), 500 - i * 4) for i in range(100)],
    "window_2.csv": lambda rng: [(1, i // 50, i // 25, i, rng.randint(0, 4)) for i in range(100)],
    "null_cases.csv": lambda rng: [
        (rng.choice([None, rng.randint(0, 99)]), rng.choice([None, rng.randint(0, 999) / 8]), rng.choice([None, i]))
        for i in range(100)
    ],
    "partitioned_csv": lambda rng: [(p, i, i % 2 == 0) for p in range(4) for i in range(11)],
    "aggregate_simple.csv": lambda rng: [(i / 32768, i / 1048576, i % 2 == 1) for i in range(1, 6) for _ in range(i)],
    "timestamps.csv": lambda rng: [(n, f"2018-{m:02}-13 {h:02}:{h * 3:02}:00") for n in ("Andrew", "Jorge") for m in (11, 12) for h in (6, 11, 17)],
    "balance.csv": lambda rng: [(1, "John", 100), (1, "Tim", 200), (2, "John", 300), (2, "Tim", 400)],
    "growth.csv": lambda rng: [("John", 3), ("Tim", 20), ("Eliza", 150)],
    "closure.csv": lambda rng: [(1, 2), (2, 3), (2, 4), (4, 1)],
    "prices.csv": lambda rng: [(i, "Holden", (60 + i * 5) * 1.0, i) for i in range(1, 11)],
    "sales.csv": lambda rng: [(r, s, 100 * r + s) for r in (101, 102) for s in (1, 2, 5)],
    "salespersons.csv": lambda rng: [(101, 1, 3), (101, 2, 3), (101, 3, None), (102, 4, 2), (102, 5, 2), (102, 2, 3)],
    "customer.csv": lambda rng: [(i, f"Customer#{i}", f"addr{i}", i % 5, f"{10 + i}-555", i * 100 + 0.25, ("BUILDING", "MACHINERY")[i % 2], "c") for i in range(1, 11)],
    "orders.csv": lambda rng: [(i, i % 7 + 1, "OF"[i % 2], i * 1000 + 0.5, f"1995-{1 + i % 12:02}-01", "1-URGENT", "Clerk#1", 0, "o") for i in range(1, 21)],
    "lineitem.csv": lambda rng: [
        (o, (o * 3 + n) % 9 + 1, n % 4 + 1, n, o + n, (o + n) * 10 + 0.5, 0.04, 0.02, "RNA"[n % 3], "OF"[o % 2], f"1995-{1 + o % 12:02}-10", f"1995-{1 + o % 12:02}-12", f"1995-{1 + o % 12:02}-15", "NONE", "AIR", "l")
        for o in range(1, 21) for n in range(1, 4)
    ],
}

# Columns of external tables that are declared without.
COLUMNS = {
    "balance.csv": "time bigint, name text, account_balance bigint",
    "growth.csv": "name text, account_growth bigint",
    "closure.csv": '"start" bigint, "end" bigint',
    "prices.csv": '"Index" bigint, product text, price double precision, prices_row_num bigint',
    "sales.csv": "region_id bigint, salesperson_id bigint, sale_amount bigint",
    "salespersons.csv": "region_id bigint, salesperson_id bigint, manager_id bigint",
}

TYPES = [
    (r"\bTINYINT\s+UNSIGNED\b", "SMALLINT"), (r"\bSMALLINT\s+UNSIGNED\b", "INT"),
    (r"\b(INT|INTEGER)\s+UNSIGNED\b", "BIGINT"), (r"\bBIGINT\s+UNSIGNED\b", "BIGINT"),
    (r"\bTINYINT\b", "SMALLINT"), (r"\bDOUBLE\b(?!\s+PRECISION)", "DOUBLE PRECISION"),
    (r"\bSTRING\b", "TEXT"), (r"\bFLOAT\b(?!\s*\()", "REAL"), (r"\bDATETIME\b", "TIMESTAMP"),
]


ARROW_TYPES = [
    (r"(?:Large)?Utf8(?:View)?|Dictionary\(\w+, Utf8\)", "text"), (r"Int8|Int16|UInt8", "smallint"),
    (r"Int32|UInt16", "int"), (r"U?Int64|UInt32", "bigint"), (r"Float16|Float32", "real"),
    (r"Float64", "double precision"), (r"Boolean", "boolean"), (r"Date32|Date64", "date"),
    (r"Time(?:32|64)\(\w+\)", "time"), (r"Timestamp\(\w+(?:, None)?\)", "timestamp"), (r"Decimal\d+\((\d+, ?\d+)\)", r"numeric(\2)"),
]


def with_types(sql):
    """A statement that makes or fills a table, with PostgreSQL's types and functions."""
    for pattern, name in TYPES:
        sql = re.sub(pattern, name, sql, flags=re.I)
    for name, ours in ARROW_TYPES:
        sql = re.sub(rf"arrow_cast\(((?:[^()',]|'[^']*')+),\s*'(?:{name})'\)", rf"CAST(\1 AS {ours})", sql)
    return re.sub(r"\brange\((\d+),\s*(\d+)\)", lambda m: f"generate_series({m[1]}, {int(m[2]) - 1})", sql)


def table_as(sql):
    """CREATE TABLE name (columns) AS query, which PostgreSQL has not, in two steps."""
    start = re.match(r"create\s+table\s+(?:if\s+not\s+exists\s+)?([\w.\"]+)\s*\(", sql, re.I)
    if not start:
        return [sql]
    depth, at = 1, start.end()
    while depth and at < len(sql):
        depth += {"(": 1, ")": -1}.get(sql[at], 0)
        at += 1
    rest = re.match(r"\s*as\b\s*", sql[at:], re.I)
    if not rest:
        return [sql]
    return [sql[:at], f"INSERT INTO {start.group(1)} {sql[at + rest.end():]}"]


def insert(table, file):
    rows = FILES_OF_ROWS[file](random.Random(file))
    lines = ",\n".join("(" + ", ".join(quoted(v) for v in row) + ")" for row in rows)
    return f"INSERT INTO {table} VALUES\n{lines}"


def statements(sql):
    """What a statement of DataFusion's becomes: none, one or more."""
    sql = re.sub(r"^(/\*.*?\*/\s*)+", "", sql, flags=re.S)
    external = re.match(r"create\s+(unbounded\s+)?external\s+table\s+(if\s+not\s+exists\s+)?(\w+)", sql, re.I)
    if external:
        location = re.search(r"location\s+'([^']*)'", sql, re.I)
        file = location and os.path.basename(location.group(1).rstrip("/"))
        if external.group(1) or file not in FILES_OF_ROWS:
            return []
        columns = re.match(r"\s*\((.*?)\)\s*stored", sql[external.end():], re.I | re.S)
        columns = re.sub(r",\s*$", "", columns.group(1).strip()) if columns else COLUMNS[file]
        name = external.group(3)
        return [f"CREATE TABLE {name} (\n  {with_types(columns)}\n)", insert(name, file)]
    copy = re.match(r"copy\s+(\w+)\s+from\s+'([^']*)'", sql, re.I)
    if copy and os.path.basename(copy.group(2)) in FILES_OF_ROWS:
        return [insert(copy.group(1), os.path.basename(copy.group(2)))]
    if re.match(r"(set|reset|copy|explain|show)\b", sql, re.I):
        return []
    replaced = re.match(r"create\s+or\s+replace\s+table\s+(\w+)", sql, re.I)
    if replaced:
        name = replaced.group(1)
        return [f"DROP TABLE IF EXISTS {name}"] + table_as(with_types(f"CREATE TABLE {name}{sql[replaced.end():]}"))
    if re.match(r"create\s+(table|view)|insert\b", sql, re.I):
        return table_as(with_types(sql))
    return [sql]


def candidates(path):
    """The records worth asking the server about."""
    kept = []
    for record in records(path):
        if any(c == ("skipif", "postgres") or c[0] == "onlyif" and c[1] != "postgres" for c in record.conditions):
            continue
        if record.kind == "query":
            if not record.expectation or record.expectation[0] == "error":
                continue
            if not re.match(r"(explain|show|describe|set|copy)\b", record.sql, re.I):
                kept.append(record)
        elif record.expectation[:1] != ["error"]:
            for i, sql in enumerate(statements(record.sql)):
                kept.append(Record("statement", ["ok"], sql, record.comments if i == 0 else [], []))
    return kept


def fresh(server, variant):
    server.run("RESET ALL; DROP SCHEMA IF EXISTS derive CASCADE; CREATE SCHEMA derive; SET search_path TO derive; "
               "SET statement_timeout = '10s'; SET TimeZone = 'UTC'; SET jit = off; " + (variant or "SELECT 1"))


def shuffle(server, seed):
    """Puts every table's rows into another order."""
    for (name,) in server.run("SELECT quote_ident(relname) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'derive'::regnamespace"):
        server.run(f"CREATE TEMP TABLE shuffled AS SELECT * FROM derive.{name} x ORDER BY md5(x::text || '{seed}'), ctid DESC; "
                   f"TRUNCATE derive.{name}; INSERT INTO derive.{name} SELECT * FROM shuffled; DROP TABLE shuffled")


def answers(server, kept, variant, seed):
    """Runs the records; gives each query's rows, and drops what is refused if `seed` is None."""
    fresh(server, variant)
    result, accepted = [], []
    for record in kept:
        try:
            rows = server.run(record.sql)
        except Refused as error:
            if seed is not None:
                if record.kind == "statement":
                    raise
                rows = [("refused", str(error))]
            else:
                continue
        if record.kind == "statement" and seed is not None:
            shuffle(server, seed)
        accepted.append(record)
        result.append(rows if record.kind == "query" else None)
    return accepted, result


def rounded(rows):
    """Rows in which sums of fractions taken in another order are equal."""
    def value(v):
        if v is not None and re.fullmatch(r"-?\d+\.\d+(e[+-]\d+)?|-?\d+(\.\d+)?e[+-]\d+", v):
            return f"{float(v):.9g}"
        return v
    return [tuple(value(v) for v in row) for row in rows]


def derive(server, path):
    kept, reference = answers(server, candidates(path), None, None)
    queries = sum(record.kind == "query" for record in kept)
    order = ["nosort" if re.search(r"\border\s+by\b", r.sql, re.I) else "rowsort" for r in kept]
    for seed, variant in enumerate(VARIANTS):
        _, other = answers(server, kept, variant, seed)
        for i, (a, b) in enumerate(zip(reference, other)):
            if a is None or order[i] is None:
                continue
            a, b = rounded(a), rounded(b)
            if sorted(map(repr, a)) != sorted(map(repr, b)):
                order[i] = None
            elif a != b:
                order[i] = "rowsort"
    for record, how in zip(kept, order):
        record.order = how
    stable = [r for r in kept if r.kind == "statement" or r.order]
    return stable, queries


def write(kept, source, path):
    with open(path, "w", encoding="utf-8") as out:
        out.write(HEADER.format(source=source))
        for record in kept:
            out.write("\n")
            for comment in record.comments:
                out.write(comment.rstrip() + "\n")
            sql = "\n".join(line.rstrip() for line in record.sql.split("\n") if line.strip())
            if record.kind == "query":
                out.write(f"query T {record.order}\n{sql}\n----\n")
            else:
                out.write(f"statement ok\n{sql}\n")


def main():
    test_files, out = sys.argv[1:3]
    host, port, user, database = sys.argv[3:7] or ("127.0.0.1", "5432", "postgres", "postgres")
    server = Server(host, int(port), user, database)
    for source in FILES:
        path = os.path.join(test_files, source)
        total = sum(r.kind == "query" for r in records(path))
        kept, accepted = derive(server, path)
        stable = sum(r.kind == "query" for r in kept)
        name = os.path.basename(source).replace(".slt.part", ".slt")
        print(f"{name}: {total} queries, {accepted} accepted, {stable} kept")
        if stable:
            write(kept, source, os.path.join(out, name))
    server.run("DROP SCHEMA IF EXISTS derive CASCADE")


if __name__ == "__main__":
    main()
