#!/usr/bin/env python3
"""Equality of the usage fold: jitscan's, a plain Python fold's and DuckDB's over the raw files, row by row.

usage: run.py JITSCAN CORPUS OUT [--events N] [--venv DIR]
CORPUS is the program of benches/corpus. Corpora are generated below OUT (one with bad records, conflicts and many
copies), the demo makes its own logs, and third-party logs are taken where ../shared/data has them. Each is ingested
into a new store and compared by equal.py. Exits with 1 where anything differs.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "wire"))
from wire import default_venv, ensure_venv  # noqa: E402


def corpora(options):
    """(name, folder of logs, truth or None) of everything to be compared."""
    shape = ["--days", "20", "--accounts", "8"]
    for name, more in [
        ("plain", []),
        ("hard", ["--bad", "0.01", "--duplicates", "0.2", "--shared", "0.05", "--conflicts", "0.01"]),
        ("small", ["--small"]),
    ]:
        folder, truth = options.out / name, options.out / f"{name}.truth.json"
        subprocess.run([options.corpus, "generate", "--events", str(options.events), "--out", folder,
                        "--truth", truth, *shape, *more], check=True, stdout=subprocess.DEVNULL)
        yield name, folder, truth
    demo = options.out / "demo"
    subprocess.run([options.jitscan, "demo", "--quiet", "--output-dir", demo], check=True, stdout=subprocess.DEVNULL)
    yield "demo", demo / "input" / "cloudtrail", None
    shared = Path(os.environ.get("JITSCAN_SHARED_DATA", HERE.parent.parent.parent / "shared" / "data"))
    for name, folder in [("invictus", shared / "invictus" / "CloudTrail"), ("stratus", shared / "stratus")]:
        if folder.exists():
            yield name, folder, None
        else:
            print(f"skipped: {folder} is absent (set JITSCAN_SHARED_DATA)")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("jitscan", type=Path)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--events", type=int, default=20000)
    parser.add_argument("--venv", type=Path)
    options = parser.parse_args()
    options.jitscan, options.corpus = options.jitscan.absolute(), options.corpus.absolute()
    python = ensure_venv(options.venv or default_venv().with_name("equal-venv"), HERE / "requirements.txt")
    shutil.rmtree(options.out, ignore_errors=True)
    options.out.mkdir(parents=True)
    wrong = 0
    for name, folder, truth in corpora(options):
        store = options.out / f"{name}.store"
        ingest = subprocess.run([options.jitscan, "--store", store, "--quiet", "ingest", "cloudtrail", folder],
                                stdout=subprocess.DEVNULL, check=False)
        if ingest.returncode not in (0, 4):
            sys.exit(f"equal: ingest of {folder} exits with {ingest.returncode}")
        print(f"== {name}", flush=True)
        command = [python, "-B", HERE / "equal.py", store, folder, *(["--truth", truth] if truth else [])]
        wrong += subprocess.run(command, check=False).returncode != 0
    print(f"equal: {wrong} unlike", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
