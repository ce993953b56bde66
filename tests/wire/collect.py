#!/usr/bin/env python3
"""`jitscan collect` on the wire: real SDK calls over loopback against moto, ministack and the front (front.py).

usage: collect.py JITSCAN OUT_DIR [--only SCENARIO]... [--keep] [--venv DIR]
       collect.py --serve small|many|big OUT_DIR   builds a world, prints the environment for it and waits

Each scenario of collect_scenarios.py prints one line "ok NAME: figures" or fails with what differs; exit code 1 when
any failed. The services' answers are shape-checked against AWS's models; nothing here was tested against AWS.
Needs pip once for the venv; after that nothing but loopback.
"""

import argparse
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # -I leaves the folder of the script out
from wire import default_venv, ensure_venv  # noqa: E402

HERE = Path(__file__).resolve().parent
MANAGEMENT = "111122223333"
HEX64 = re.compile(rb"[0-9a-f]{64}")


class Lab:
    """The worlds, built when they are first wanted, and what all runs have in common: calls and secrets seen."""

    def __init__(self, binary, out):
        self.binary, self.out, self.management = binary, out, MANAGEMENT
        self.worlds, self.runs, self.leaks, self.seen_calls, self.looked_at = {}, {}, [], {}, 0
        self.stopping = []

    def world(self, name, build=True):
        """`small`, `many`, `big`, or another name for servers without a world."""
        import collect_servers
        import collect_world
        if name not in self.worlds:
            servers = collect_servers.Servers(self.out / "servers" / name, MANAGEMENT)
            self.stopping.append(servers)
            servers.start()
            size = {"small": collect_world.SMALL, "many": collect_world.MANY, "big": collect_world.BIG}.get(name)
            world = collect_world.World(servers, size or collect_world.SMALL)
            self.worlds[name] = world.build() if build else world
        return self.worlds[name]

    def run(self, world, name, *args, **more):
        import collect_check
        return collect_check.Run(self, world, name, *args, **more)

    def baseline(self, name):
        """(run, documents) of the undisturbed run on that world; made once."""
        if name not in self.runs:
            world = self.world(name)
            world.servers.faults()
            run = self.run(world, f"{name}-undisturbed").expect(0)
            self.runs[name] = run, run.documents()
        return self.runs[name]

    # -------------------------------------------------------- over all runs

    def all_calls(self, name, calls):
        for call in calls:
            self.seen_calls.setdefault((call["service"], call["operation"]), name)

    def look_for_secrets(self, run, secrets):
        run.secrets = secrets
        for folder in {run.folder, run.store}:
            self.look_for_secrets_in(run, folder)

    def look_for_secrets_in(self, run, folder):
        """Secret keys, session tokens and signatures of this run in any of its files."""
        import gzip
        signatures = {value.encode() for value in run.secrets if re.fullmatch(r"[0-9a-f]{64}", value)}
        others = [value.encode() for value in run.secrets if value.encode() not in signatures]
        for path in [path for path in folder.rglob("*") if path.is_file()]:
            data = path.read_bytes()
            if data[:2] == b"\x1f\x8b":
                try:
                    data += gzip.decompress(data)
                except (OSError, EOFError):
                    pass
            self.looked_at += 1
            found = [f"a secret of {len(value)} characters" for value in others if value in data]
            found += ["a signature"] * bool(signatures & set(HEX64.findall(data)))
            found += ["an Authorization value"] * (b"AWS4-HMAC-SHA256 Credential=" in data)
            shown = path.relative_to(self.out) if path.is_relative_to(self.out) else path
            self.leaks += [f"{run.name}: {shown}: {what}" for what in sorted(set(found))]

    def problems_of_servers(self):
        """Calls that nobody served, requests that do not fit AWS's models, and faults of the front itself."""
        found = []
        for name, world in self.worlds.items():
            if name == "front":  # its own test asks for such answers
                continue
            for call in world.servers.calls():
                if call.get("unserved") or call.get("invalid") or call.get("bad_answer"):
                    found.append(f"{name}: {call['service']}:{call['operation']} ({call['status']}): "
                                 f"{str(call.get('error'))[-400:]}")
        return sorted(set(found))

    def stop(self):
        while self.stopping:
            self.stopping.pop().stop()


def inside(args):
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        del os.environ[name]
    os.environ.update(AWS_EC2_METADATA_DISABLED="true", AWS_CONFIG_FILE=os.devnull,
                      AWS_SHARED_CREDENTIALS_FILE=os.devnull)

    def on_signal(signum, _frame):
        raise SystemExit(128 + signum)
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, on_signal)
    args.out.mkdir(parents=True, exist_ok=True)
    lock = open(args.out / "lock", "w")  # held until the end: two drivers in one folder would spoil both
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"collect: another run uses {args.out}")
    shutil.rmtree(args.out / "runs", ignore_errors=True)
    shutil.rmtree(args.out / "servers", ignore_errors=True)
    lab = Lab(args.jitscan, args.out)
    try:
        return serve(lab, args.serve) if args.serve else scenarios(lab, args.only, args.keep)
    finally:
        lab.stop()


def serve(lab, size):
    import collect_world
    world = lab.world(size)
    print(json.dumps({
        "endpoint": world.servers.url, "log": str(world.servers.log), "management": world.management,
        "members": world.members, "built_in_s": round(world.seconds, 1),
        "env": {"AWS_ACCESS_KEY_ID": world.caller["AccessKeyId"], "AWS_REGION": "us-east-1",
                "AWS_SECRET_ACCESS_KEY": world.caller["SecretAccessKey"], "AWS_EC2_METADATA_DISABLED": "true"},
        "args": ["--endpoint-url", world.servers.url, "--role-name", collect_world.ROLE, "--external-id",
                 collect_world.EXTERNAL_ID]}, indent=1), flush=True)
    while True:
        time.sleep(60)


def scenarios(lab, only, keep):
    import collect_check
    import collect_scenarios
    wanted = [name for name in collect_scenarios.SCENARIOS if not only or name in only]
    unknown = set(only) - set(collect_scenarios.SCENARIOS)
    if unknown:
        sys.exit(f"collect: no scenario {', '.join(sorted(unknown))}; there are "
                 + ", ".join(collect_scenarios.SCENARIOS))
    failed = []
    for name in wanted:
        started = time.monotonic()
        try:
            figures = collect_scenarios.SCENARIOS[name](lab)
            print(f"ok {name}: {figures} [{time.monotonic() - started:.1f} s]", flush=True)
        except collect_check.Failed as failure:
            failed.append(name)
            print(f"FAILED {name}: {failure}", flush=True)
        except Exception:
            failed.append(name)
            print(f"FAILED {name} [an error of the test]:\n{traceback.format_exc()}", flush=True)
        for world in lab.worlds.values():
            world.servers.faults()
    problems = lab.problems_of_servers()
    if problems:
        failed.append("servers")
        print("FAILED servers: calls that were not served or do not fit AWS's models:\n  " + "\n  ".join(problems[:20]))
    print(f"collect: {len(wanted) - len(set(failed) & set(wanted))} of {len(wanted)} scenarios hold"
          + (f"; failed: {', '.join(failed)}" if failed else ""), flush=True)
    if not keep and not failed:
        shutil.rmtree(lab.out / "runs", ignore_errors=True)
    return 1 if failed else 0


# Mostly waiting: each runs beside all others, on servers of its own.
SLOW = ("denied_each", "storms")
# They look at all runs before them, in every lane.
OVER_ALL = ("no_writes", "no_secrets")


def lanes(args):
    """All scenarios, in processes side by side; what they print comes whole, one after the other."""
    import ast
    tree = ast.parse((HERE / "collect_scenarios.py").read_text())
    marked = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)
              and any(isinstance(mark, ast.Name) and mark.id == "scenario" for mark in node.decorator_list)]
    if missing := [name for name in SLOW + OVER_ALL if name not in marked]:
        sys.exit(f"collect: no scenario {', '.join(missing)}")
    fast = [name for name in marked if name not in SLOW and name not in OVER_ALL]
    running = []
    for lane, names in [*((name, [name]) for name in SLOW), ("others", fast)]:
        command = [sys.executable, str(HERE / "collect.py"), args.jitscan, str(args.out / lane), "--venv", str(args.venv)]
        command += ["--keep"] if args.keep else []
        for name in (*names, *OVER_ALL):
            command += ["--only", name]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    try:
        said = [process.communicate()[0] for process in reversed(running)]
    finally:
        for process in running:
            process.terminate()
    print("".join(said), end="", flush=True)
    return 1 if any(process.returncode for process in running) else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("jitscan", nargs="?")
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", action="append", default=[], metavar="SCENARIO")
    parser.add_argument("--keep", action="store_true", help="keep the runs' files")
    parser.add_argument("--serve", choices=("small", "many", "big"))
    parser.add_argument("--venv", type=Path, default=default_venv().with_name("collect-venv"))
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.out = args.out.absolute()
    if not args.serve:
        if not args.jitscan or not os.access(args.jitscan, os.X_OK):
            parser.error("JITSCAN must be the binary")
        args.jitscan = str(Path(args.jitscan).absolute())
    if args.inside:
        return inside(args)
    python = ensure_venv(args.venv.expanduser().absolute(), HERE / "collect.txt")
    if not args.serve and not args.only:
        return lanes(args)
    command = [str(python), "-I", "-B", str(HERE / "collect.py"), "--inside"]
    command += [args.jitscan] if args.jitscan else []
    command += [str(args.out)] + (["--keep"] if args.keep else []) + (["--serve", args.serve] if args.serve else [])
    for name in args.only:
        command += ["--only", name]
    sys.stdout.flush()
    os.execv(str(python), command)


if __name__ == "__main__":
    sys.exit(main())
