"""Makes copy_samples.jsonl: what PostgreSQL 15's COPY makes of these options and data.

    pip install psycopg; python3 copy_samples.py "host=... dbname=..." > copy_samples.jsonl

Each line: the options, the data (Latin-1, one character per byte), and either the rows with what
COPY TO writes of them under the same options, or the error.
"""
import json
import sys

import psycopg

S = []


def add(options, *datas):
    for data in datas:
        S.append((options, data if isinstance(data, bytes) else data.encode()))


add(
    "",
    "1\ta\tb\n",
    "1\ta\tb",
    "1\ta\tb\r\n2\tc\td\r\n",
    "1\ta\tb\r2\tc\td\r",
    "1\ta\tb\n2\tc\td\r\n",
    "1\ta\tb\r\n2\tc\td\n",
    "1\ta\tb\r2\tc\td\n",
    "1\ta\rb\tb\n",
    "",
    "\n",
    "\\N\t\\N\t\\N\n",
    "1\t\t\n",
    "1\t\\\\N\t\\\\\n",
    "1\t\\b\\f\\n\\r\\t\\v\t\\a\\q\\\"\n",
    "1\t\\101\\102\\0417\t\\x41\\x4g\\x\\xg\n",
    "1\t\\303\\244\t\\xc3\\xa4\n",
    "1\t\\377\tb\n",
    "1\t\\0\tb\n",
    "1\ta\\\tb\tc\n",
    "1\ta\\\nb\tc\n",
    "1\ta\tb\\",
    "1\ta\tb\\\n",
    "1\ta\tb\n\\.\nrubbish",
    "1\ta\tb\n\\.\n",
    "1\ta\tb\n\\.",
    "1\ta\tb\n\\.x\n",
    "1\ta\tb\\.\n",
    "1\ta\tb\r\n\\.\n",
    "1\ta\tb\r\n\\.\r\n",
    "1\ta\tb\n\\.\r",
    "\\.\n",
    "1\ta\n",
    "1\n",
    "1\ta\tb\tc\n",
    "1\ta\tb\t\n",
    "x\ta\tb\n",
    " 1 \ta\tb\n",
    "1\ta\tb\n2\tc\td\n99999999999\te\tf\n",
    "1\ta\tb\n\n2\tc\td\n",
    "1\tgrößer\tß\n",
    b"1\t\xff\tb\n",
    b"1\ta\tb\n2\t\xc3\x28\tb\n",
    b"1\ta\x00b\tb\n",
    "1\t" + "x" * 150 + "\n",
    "x" * 150 + "\ta\tb\n",
    "1\t{\"a\":1}\t'q'\n",
    "1\t\\N \t \\N\n",
    "1\t\\n\\N\tx\n",
    "1\ta,b\t\"q\"\n",
)
add("NULL ''", "1\t\t\n", "\t\t\n", "1\t\\N\tx\n")
add("NULL 'null'", "1\tnull\tNULL\n", "1\t\\null\tn\\ull\n")
add("DELIMITER '|'", "1|a|b\n", "1|a\\|b|c\n", "1|a\tb|c\n", "1\ta\tb\n")
add("DELIMITER ','", "1,a,b\n", "1,\\,,\\\\\n")
add("HEADER", "x\n1\ta\tb\n", "a\tb\tc\n", "")
add("HEADER MATCH", "a\tb\tc\n1\ta\tb\n", "a\tc\tb\n1\ta\tb\n", "a\tb\n1\ta\tb\n", "a\tb\t\\N\n", "A\tb\tc\n", "")
add(
    "FORMAT csv",
    "1,a,b\n",
    "1,a,b",
    "1,a,b\r\n2,c,d\r\n",
    "1,a,b\r2,c,d\r",
    "1,a,b\n2,c,d\r\n",
    "1,a,b\r\n2,c,d\n",
    "1,,\n",
    "1,\"\",\"\"\n",
    ",,\n",
    "\n",
    "1,\"a,b\",c\n",
    "1,\"a\"\"b\",c\n",
    "1,\"a\nb\",\"c\r\nd\"\n",
    "1,\"a\nb\",c\n2,\"\n\n\",d\nx,e,f\n",
    "1,a\"b\"c,d\n",
    "1,a\"b,c\"d,e\n",
    "1,\"a\"b\"c\",d\n",
    "1,\"a\"x,d\n",
    "1,\"a,b\n",
    "1,\"a",
    "1,a,\"b\"",
    "1, \"a\" ,b\n",
    "1,\\N,\\\\\n",
    "1,a\\,b\n",
    "1,\\.,b\n",
    "\\.\n",
    "1,a,b\n\\.\n2,c,d\n",
    "\\.,a,b\n",
    "1,a,\"\n\\.\n\"\n",
    "1,a,b\n\\.",
    "\\.x,a,b\n",
    "1,a\n",
    "1,a,b,c\n",
    "x,a,b\n",
    "\"x\",a,b\n",
    "\"1\",a,b\n",
    "1,größer,\"ß\"\n",
    b"1,\xff,b\n",
    "1,a\rb,c\n2,d,e\n",
    "1,a,b\n2,c\rd,e\n",
    "1,\"\"\"\",\"\"\"a\"\"\"\n",
    "1,\"a\\\"b\",c\n",
    "1,'a,b',c\n",
    "1,\"" + "y" * 200 + "\n" + "z" * 200 + "\",c\n",
)
add("FORMAT csv, HEADER", "a,b,c\n1,x,y\n", "\"a\nb\"\n1,x,y\n")
add("FORMAT csv, HEADER MATCH", "a,b,c\n1,x,y\n", "a,\"b\",c\n1,x,y\n", "a,,c\n1,x,y\n", "a,b,c,d\n", "\"a b\",b,c\n")
add("FORMAT csv, QUOTE ''''", "1,'a,b','c''d'\n", "1,\"a\",b\n", "1,'a\n")
add("FORMAT csv, ESCAPE '\\'", "1,\"a\\\"b\",c\n", "1,\"a\\\\\",c\n", "1,\"a\\b\",\"\\\n\"\n", "1,\"a\"\"b\",c\n", "1,\"a\\\\\\\"b\n\",c\n2,d,e\n", "1,a\\\"b,c\n")
add("FORMAT csv, DELIMITER ';', NULL 'NA'", "1;NA;\"NA\"\n", "1;a,b;\n", "NA;;\n")
add("FORMAT csv, DELIMITER E'\\t'", "1\ta\t\"b\tc\"\n")
add("FORMAT csv, FORCE_NOT_NULL (b)", "1,,\n", "1,\"\",\"\"\n")
add("FORMAT csv, FORCE_NULL (b, c)", "1,\"\",\"\"\n", "1,,x\n", "1,\"x\",\"\"\n")
add("FORMAT csv, NULL 'x', FORCE_NULL (b), FORCE_NOT_NULL (c)", "1,\"x\",\"x\"\n", "1,x,x\n")
add("FORMAT csv, NULL '\\N'", "1,\\N,\"\\N\"\n")
# Options that are refused, whatever the data.
for bad in [
    "FORMAT xml", "FORMAT csv, FORMAT text", "nonsense", "DELIMITER 'ab'", "DELIMITER ''", "DELIMITER 'a'",
    "DELIMITER '\\'", "DELIMITER E'\\n'", "DELIMITER '.'", "DELIMITER 'A'", "NULL E'a\\nb'", "NULL E'a\\tb'",
    "QUOTE '\"'", "ESCAPE '\"'", "FORMAT csv, QUOTE 'ab'", "FORMAT csv, ESCAPE ''", "FORMAT csv, QUOTE ','",
    "FORMAT csv, NULL 'a\"b'", "FORMAT csv, NULL 'a,b'", "FORCE_NULL (a)", "FORCE_NOT_NULL (a)", "FORCE_QUOTE (a)",
    "FORMAT csv, FORCE_QUOTE (a)", "FORMAT csv, FORCE_NULL (z)", "FORMAT csv, FORCE_NOT_NULL (z)",
    "FORMAT csv, FORCE_NOT_NULL b", "HEADER maybe", "HEADER 2", "FORMAT binary, DELIMITER ','", "FORMAT binary, NULL ''",
    "FORMAT binary, HEADER", "FORMAT csv, HEADER, HEADER", "FORMAT",
]:
    add(bad, "1\ta\tb\n")

BINARY = b"PGCOPY\n\xff\r\n\0" + bytes(8)
ROW = b"\0\3" + b"\0\0\0\4\0\0\0\x07" + b"\0\0\0\1x" + b"\xff\xff\xff\xff"
add(
    "FORMAT binary",
    BINARY + b"\xff\xff",
    BINARY + ROW + b"\xff\xff",
    BINARY + ROW + ROW,
    BINARY + ROW[:-1],
    BINARY + ROW + b"\xff\xff" + b"x",
    BINARY + b"\0\2" + ROW[2:],
    BINARY + b"\0\3\0\0\0\3\0\0\1\0\0\0\1x\0\0\0\1y",
    BINARY + b"\0\3\0\0\0\5\0\0\1\0\0\0\0\0\1x\0\0\0\1y",
    BINARY + b"\0\3\xff\xff\xff\xfe",
    BINARY + b"\0\3\xff\xff\xff\xff\0\0\0\1\xff\xff\xff\xff\xff",
    b"1\ta\tb\n",
    b"",
    BINARY[:5],
    BINARY[:11] + b"\0\1\0\0\0\0\0\0",
    BINARY[:11] + b"\x80\0\0\0\0\0\0\0",
    BINARY[:11] + b"\0\0\0\1\0\0\0\3abc" + ROW + b"\xff\xff",
    BINARY[:11] + b"\0\0\0\0\xff\xff\xff\xff",
)

with psycopg.connect(sys.argv[1], autocommit=True) as conn:
    conn.execute("CREATE TEMP TABLE t (a integer, b text, c text)")
    for options, data in S:
        clause = f" WITH ({options})" if options else ""
        out = {"options": options, "data": data.decode("latin-1")}
        conn.execute("TRUNCATE t")
        try:
            with conn.cursor().copy(f"COPY t FROM STDIN{clause}") as copy:
                copy.write(data)
            out["rows"] = conn.execute("SELECT a::text, b, c FROM t").fetchall()
            to = options.split(", FORCE")[0].replace(" MATCH", "")
            clause = f" WITH ({to})" if to else ""
            with conn.cursor().copy(f"COPY t TO STDOUT{clause}") as copy:
                parts = [bytes(part) for part in copy]
            out["out"] = [part.decode("latin-1") for part in parts]
        except psycopg.Error as error:
            d = error.diag
            fields = ("sqlstate", "message_primary", "message_hint", "context")
            out["error"] = [getattr(d, f) for f in fields]
        print(json.dumps(out, ensure_ascii=True))
