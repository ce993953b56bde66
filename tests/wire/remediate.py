#!/usr/bin/env python3
"""`jitscan remediate apply` and `rollback` on the wire: the demo's organisation for real in ministack with AUTH=true.

usage: remediate.py JITSCAN OUT_DIR [--keep] [--kills N] [--only ROUND] [--venv DIR]

What the plan's principals did in ninety days of logs is done again: before the plan, after it, and, where the proof
says so, through a grant that root opens. After a rollback everything is to the byte what it was; so it is after
applying and rolling back with kills in between. More rounds do it from an export of the AWS CLI, and with users and
groups, of which the demo's plan changes hardly any. Each part prints one line "ok NAME: figures" or what differs; exit
code 1 if anything does. Needs pip once for the venv; after that nothing but loopback. Nothing here was tested against
AWS.
"""

import argparse
import fcntl
import os
import re
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # -I leaves the folder of the script out
from wire import default_venv, ensure_venv  # noqa: E402

HERE = Path(__file__).resolve().parent
WRITES = ("apply", "after", "rollback", "kills", "two", "refused", "announced", "principal", "meddled", "denied", "stuck", "restored")
# Without these the rest of a round means nothing.
NEEDED = ("store", "plan", "sessions", "apply", "rollback")


class Test:
    def __init__(self, args):
        self.args, self.world, self.held, self.failed = args, None, 0, []

    def part(self, name, function):
        from remediate_round import Failed
        started = time.monotonic()
        try:
            figures = function()
            print(f"ok {name}: {figures} [{time.monotonic() - started:.1f} s]", flush=True)
            self.held += 1
            return True
        except Failed as failure:
            print(f"FAILED {name}: {failure}", flush=True)
        except Exception:
            print(f"FAILED {name} [an error of the test or the program]:\n{traceback.format_exc()}", flush=True)
        self.failed.append(name)
        return False

    def program(self, *arguments):
        """(exit code, stdout) of a run that needs no store."""
        from remediate_world import Jitscan
        process = Jitscan(self.args.jitscan, self.args.out / "none", os.devnull).start(*arguments)
        out, _ = process.communicate(timeout=600)
        return process.returncode, out

    def make_world(self):
        from remediate_round import check
        from remediate_users import DATES
        from remediate_world import EXECUTOR, World
        demo = self.args.out / "demo"
        self.program("demo", "--output-dir", demo)
        self.world = World(demo, DATES)
        ask = ("permissions", "--for", "remediate", "--role-name", EXECUTOR, "--group", "extra-team", "--trust", "gha-pipeline",
               "--role")
        code, policy = self.program(*ask, "member")
        self.printed = policy if code == 0 else None
        for more in (["--permission-sets"], []):  # who starts it changes those, where the program knows of them
            code, starts = self.program(*ask, "central", *more)
            if code == 0:
                break
        self.world.build(self.printed, starts if code == 0 else None)
        problems, figures = self.world.strays()
        return check(problems, figures + ("" if self.printed else "; the executor's policy is the test's own"))

    def executor(self):
        """What the executor may do with the policy that the program prints, tried without effect."""
        from remediate_executor import tried
        return tried(self.world)

    def run(self):
        from remediate_round import Printed, Round
        from remediate_refusals import Refusals
        from remediate_users import Users
        told = self.program("remediate", "--help")[1]
        can = all(re.search(rf"^\s+{name}\b", told, re.M) for name in ("apply", "rollback"))
        if self.part("world", self.make_world):
            if self.printed:
                self.part("executor", self.executor)
            for kind in (Round, Printed, Refusals, Users):
                if self.args.only not in (None, kind.name):
                    continue
                made = kind(self.args, self.world, self.args.out / "demo")
                for name in [name for name in kind.parts if can or name not in WRITES]:
                    if not self.part(f"{kind.name} {name}", getattr(made, f"part_{name}")) and name in NEEDED:
                        break
        print(f"remediate: {self.held} parts hold" + (f"; failed: {', '.join(self.failed)}" if self.failed else "")
              + ("" if can else "; this program has no `remediate apply` yet"), flush=True)
        return 1 if self.failed else 0


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
        sys.exit(f"remediate: another run uses {args.out}")
    made = ("demo", "demo-plan", "printed-plan", "users-plan", "refusals-plan")
    for name in made[1:]:
        shutil.rmtree(args.out / name, ignore_errors=True)
    test = Test(args)
    try:
        code = test.run()
    finally:
        if test.world is not None:
            test.world.server.stop(args.keep)
    if code == 0 and not args.keep:
        for name in made:
            shutil.rmtree(args.out / name, ignore_errors=True)
    return code


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("jitscan")
    parser.add_argument("out", type=Path)
    parser.add_argument("--keep", action="store_true", help="keep the files and the emulator's log")
    parser.add_argument("--kills", type=int, default=6, metavar="N", help="kills of each of apply and rollback")
    parser.add_argument("--only", choices=("demo", "printed", "users", "refusals"), help="only this round")
    parser.add_argument("--venv", type=Path, default=default_venv())
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.out = args.out.absolute()
    if not os.access(args.jitscan, os.X_OK):
        parser.error("JITSCAN must be the binary")
    args.jitscan = str(Path(args.jitscan).absolute())
    if args.inside:
        return inside(args)
    python = ensure_venv(args.venv.expanduser().absolute())
    command = [str(python), "-I", "-B", str(HERE / "remediate.py"), "--inside", args.jitscan, str(args.out),
               "--kills", str(args.kills)]
    command += (["--keep"] if args.keep else []) + (["--only", args.only] if args.only else [])
    sys.stdout.flush()
    os.execv(str(python), command)


if __name__ == "__main__":
    sys.exit(main())
