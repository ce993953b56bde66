#!/usr/bin/env python3
"""The usage fold as a user of DuckDB would write it: `duckdb_fold.py DIR [--formulation NAME] [--threads N]`.

With `--lake FILE` it makes what an ingest makes, as far as SQL goes: every event once, with all that investigation
needs, sorted into a Parquet file, and the fold over that. Without, it folds the logs and keeps nothing.

Prints the formulation, the rows of the fold, the calls in it and the seconds. Wants `pip install duckdb==1.5.*`.
"""
import argparse
import glob
import time

import duckdb

IDENTITY = "STRUCT(type VARCHAR, principalId VARCHAR, arn VARCHAR, accountId VARCHAR, accessKeyId VARCHAR)"
RECORD = (f"STRUCT(userIdentity {IDENTITY}, eventTime VARCHAR, eventSource VARCHAR, eventName VARCHAR, "
          "awsRegion VARCHAR, errorCode VARCHAR, recipientAccountId VARCHAR, eventID VARCHAR)")
# A file is one line and one object: the largest has to fit.
SIZE = "maximum_object_size=268435456"

FOLD = """
SELECT {identity}, eventSource, eventName, errorCode, recipientAccountId, awsRegion, eventTime[:10] AS day,
       count(*) AS calls, min(eventTime) AS first, max(eventTime) AS last
FROM ({records}) GROUP BY ALL"""
STRUCT_FIELDS = ("userIdentity.type AS type, userIdentity.principalId AS principalId, userIdentity.arn AS arn, "
                 "userIdentity.accountId AS accountId, userIdentity.accessKeyId AS accessKeyId")


def structs(form):
    read = f"read_json($files, {form} columns={{Records: '{RECORD}[]'}}, {SIZE})"
    return FOLD.format(identity=STRUCT_FIELDS, records=f"SELECT unnest(r, max_depth := 1) FROM (SELECT unnest(Records) AS r FROM {read})")


def extracted():
    names = ["eventTime", "eventSource", "eventName", "awsRegion", "errorCode", "recipientAccountId"]
    inner = ["type", "principalId", "arn", "accountId", "accessKeyId"]
    paths = [f"'$.{n}'" for n in names] + [f"'$.userIdentity.{n}'" for n in inner]
    fields = ", ".join(f"v[{i}] AS {n}" for i, n in enumerate(names + inner, 1))
    read = f"read_json($files, format='newline_delimited', columns={{Records: 'JSON[]'}}, {SIZE})"
    records = (f"SELECT {fields} FROM (SELECT json_extract_string(r, [{', '.join(paths)}]) AS v FROM "
               f"(SELECT unnest(Records) AS r FROM {read}))")
    return FOLD.format(identity=", ".join(inner), records=records)


TEXTS = ("eventVersion eventTime eventSource eventName awsRegion sourceIPAddress userAgent errorCode errorMessage requestID "
         "eventID eventType recipientAccountId sharedEventID eventCategory vpcEndpointId").split()
DOCUMENTS = "requestParameters responseElements additionalEventData serviceEventDetails resources tlsDetails".split()
FULL = ("STRUCT(userIdentity STRUCT(type VARCHAR, principalId VARCHAR, arn VARCHAR, accountId VARCHAR, accessKeyId VARCHAR, "
        "userName VARCHAR, invokedBy VARCHAR, identityProvider VARCHAR, sessionContext JSON, onBehalfOf JSON), "
        + "".join(f"{name} VARCHAR, " for name in TEXTS) + "".join(f"{name} JSON, " for name in DOCUMENTS)
        + "readOnly BOOLEAN, managementEvent BOOLEAN, sessionCredentialFromConsole BOOLEAN)")


def lake(file):
    """Statements that keep every event once in a Parquet file, and the fold over it."""
    read = f"read_json($files, format='newline_delimited', columns={{Records: '{FULL}[]'}}, {SIZE})"
    records = f"SELECT unnest(r, max_depth := 1) FROM (SELECT unnest(Records) AS r FROM {read})"
    keep = (f"COPY (SELECT DISTINCT ON (eventID) * FROM ({records}) ORDER BY recipientAccountId, eventTime) "
            f"TO '{file}' (FORMAT parquet, COMPRESSION zstd)")
    return keep, FOLD.format(identity=STRUCT_FIELDS, records=f"SELECT * FROM read_parquet('{file}')")


FORMULATIONS = {
    # Explicit columns, one object a line: what the files happen to be.
    "newline_delimited": lambda: structs("format='newline_delimited',"),
    "unstructured": lambda: structs("format='unstructured',"),
    "auto": lambda: structs("format='auto',"),
    # Records as JSON, fields taken out by path.
    "json_extract": extracted,
}


def main():
    args = argparse.ArgumentParser()
    args.add_argument("dir")
    args.add_argument("--formulation", default="newline_delimited", choices=FORMULATIONS)
    args.add_argument("--threads", type=int, default=0)
    args.add_argument("--lake", metavar="FILE", help="Parquet file to write the events to")
    args = args.parse_args()
    files = sorted(glob.glob(f"{args.dir}/**/*.json.gz", recursive=True))
    connection = duckdb.connect()
    connection.execute("SET preserve_insertion_order = false")
    if args.threads:
        connection.execute(f"SET threads = {args.threads}")
    began = time.perf_counter()
    name, bound = args.formulation, {"files": files}
    if args.lake:
        keep, query = lake(args.lake.replace("'", "''"))
        connection.execute(keep, bound)
        name, bound = "lake", {}
    else:
        query = FORMULATIONS[args.formulation]()
    rows, calls = connection.execute(f"SELECT count(*), sum(calls) FROM ({query})", bound).fetchone()
    print(f"{name}: {rows} rows, {calls} records, {time.perf_counter() - began:.2f} s, DuckDB {duckdb.__version__}")


main()
