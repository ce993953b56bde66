"""Runs the commands of benches/run-recommend and prints what they cost: measure.py JITSCAN DIR RUNS."""

import json
import os
import statistics
import subprocess
import sys
import time

# Name, arguments, whether the window matters.
COMMANDS = [
    ("scan", ["scan"], True),
    ("recommend", ["recommend"], True),
    ("recommend --curve", ["recommend", "--curve"], True),
    ("recommend --combinations", ["recommend", "--combinations"], True),
    ("recommend --automation", ["recommend", "--automation"], True),
    ("escalations", ["escalations"], False),
]
WINDOWS = ["90d", "365d"]
COUNT = """
import json, sys
rows = json.load(open(sys.argv[1], encoding="utf-8"))["rows"]
sure = [row["sure"] for row in rows if "sure" in row]
print(f"{len(rows)}, {sum(sure)} sure" if sure else len(rows))
"""


def measure(command, answer):
    """Wall and CPU seconds and peak megabytes of a process whose answer goes to a file."""
    begun = time.monotonic()
    with open(answer, "wb") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE) as process:
        said = process.stderr.read()
        # The usage of this one process; `RUSAGE_CHILDREN` would keep the greatest peak of all so far.
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"run-recommend: {' '.join(command)} failed with {process.returncode}:\n{said.decode()[-2000:]}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main():
    """Measures everything, and prints it."""
    jitscan, folder, runs = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with open(os.path.join(folder, "input", "made.json"), encoding="utf-8") as file:
        made = json.load(file)
    print(f"{made['principals']} principals and {made['people']} people in {made['accounts']} accounts, "
          f"{made['records']} records in {made['files']} files, {made['days']} days.\n")
    print("| what | window | min s | median s | CPU s | peak MB resident | rows |")
    print("|---|---|---:|---:|---:|---:|---:|")
    answer = os.path.join(folder, "answer")
    for name, arguments, windowed in COMMANDS:
        for window in WINDOWS if windowed else WINDOWS[:1]:
            command = [jitscan, "--format", "json", "--window", window, *arguments]
            taken = [measure(command, answer) for _ in range(runs)]
            walls = [wall for wall, _, _ in taken]
            # In a process of its own: what this one has held counts as the peak of all that it starts.
            count = subprocess.run([sys.executable, "-c", COUNT, answer], check=True, capture_output=True, text=True)
            count = count.stdout.strip()
            print(f"| {name} | {window if windowed else ''} | {min(walls):.2f} | {statistics.median(walls):.2f} "
                  f"| {min(cpu for _, cpu, _ in taken):.2f} | {max(peak for _, _, peak in taken):.0f} | {count} |",
                  flush=True)
    os.remove(answer)


if __name__ == "__main__":
    main()
