#!/usr/bin/env python3
"""`jitscan remediate apply` and `rollback` on the wire: the demo's organisation for real in ministack with AUTH=true.

usage: remediate.py JITSCAN OUT_DIR [--keep] [--kills N] [--venv DIR]

What the plan's principals did in ninety days of logs is done again: before the plan, after it, and, where the proof says
so, through a grant that root opens. After a rollback everything is to the byte what it was; so it is after applying and
rolling back with kills in between. Each part prints one line "ok NAME: figures" or what differs; exit code 1 if anything
does. Needs pip once for the venv; after that nothing but loopback. Nothing here was tested against AWS.
"""

import argparse
import fcntl
import json
import os
import random
import re
import shutil
import signal
import sys
import time
import traceback
from collections import Counter, defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # -I leaves the folder of the script out
from remediate_state import comparable, differences, documents_read, plain_of_demo, planned, said, without  # noqa: E402
from wire import default_venv, ensure_venv  # noqa: E402

HERE = Path(__file__).resolve().parent
SHOWN = 25           # differences printed of one part
TAKEN = 5            # actions that a principal loses, tried for each
FAR = "2099-01-01T00:00:00Z"


class Failed(Exception):
    """What differs, one line each."""

    def __init__(self, problems, figures=""):
        super().__init__(f"{figures}\n  " + "\n  ".join(problems[:SHOWN])
                         + (f"\n  … and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""))


def check(problems, figures):
    if problems:
        raise Failed(problems, figures)
    return figures


def short(arn):
    return f"{arn.rsplit('/', 1)[-1]} ({arn.split(':')[4]})"


# ---------------------------------------------------------------- the test

class Test:
    def __init__(self, args):
        self.args, self.out = args, args.out
        self.binary = args.jitscan
        self.random = random.Random(20261122)

    def aws(self):
        from remediate_world import EXECUTOR, REGION
        return ["--role-name", EXECUTOR, "--endpoint-url", self.world.server.url, "--region", REGION]

    def applying(self):
        return ["remediate", "apply", self.plan_path, "--yes", "--max-principals", "1000", "--max-share", "100", *self.aws(),
                "--window", "3650d"]

    def rolling_back(self):
        return ["remediate", "rollback", self.plan_path, "--yes", *self.aws()]

    # -------------------------------------------------------- 1 and 2: world and store

    def part_world(self):
        """The demo's IAM, in ministack as it is in the demo's documents."""
        from remediate_world import EXECUTOR, Jitscan, World
        self.demo = self.out / "demo"
        Jitscan(self.binary, self.demo / "store", os.devnull).run("demo", "--output-dir", self.demo, expect=None)
        self.world = World(self.demo)
        self.world.build()
        read = lambda document: json.loads(document) if isinstance(document, str) else document
        problems, counted = [], Counter()
        for account, found in self.world.state().items():
            wanted = {member: {one["Arn"]: plain_of_demo(one, self.world.ids) for one in ones}
                      for member, ones in self.world.wanted[account].items()}
            for member, ones in found.items():
                counted[member] += len(ones)
                made = {arn: documents_read(one, read) for arn, one in ones.items() if not arn.endswith(f":role/{EXECUTOR}")}
                names = {"AttachmentCount", "PermissionsBoundaryUsageCount", "UpdateDate", "GroupId", "InstanceProfileId",
                         "Roles", "Description"}
                made, there = without(made, names), without(wanted[member], names)
                if member == "Policies":  # AWS's own have ids of the emulator
                    made, there = ({arn: without(one, {"PolicyId"} if ":aws:" in arn else set()) for arn, one in side.items()}
                                   for side in (made, there))
                if member == "InstanceProfileList":
                    continue
                problems += differences(there, made, f"{account}/{member}")
        return check(problems, f"{len(self.world.accounts)} accounts, {counted['UserDetailList']} users, "
                     f"{counted['GroupDetailList']} groups, {counted['RoleDetailList']} roles, {counted['Policies']} managed "
                     f"policies, {self.world.documents} documents in three ways of writing")

    def part_store(self):
        from remediate_world import Jitscan, ingest, rewritten
        self.files = self.out / "files"
        replaced, files = rewritten(self.world, self.files)
        self.jitscan = Jitscan(self.binary, self.out / "store", self.demo / "jitscan.toml")
        ingest(self.world, self.jitscan, self.files, None)
        self.before = self.world.state()
        return f"{len(self.world.ids)} ids of the emulator written {replaced} times into {files} files of the demo"

    # -------------------------------------------------------- 3: plan and proof

    def part_plan(self):
        from remediate_world import AS_OF, Jitscan
        at = ["--as-of", AS_OF]
        made = []
        for jitscan, path in ((self.jitscan, self.out / "plan.json"),
                              (Jitscan(self.binary, self.demo / "store", self.demo / "jitscan.toml"),
                               self.out / "plan-of-demo.json")):
            jitscan.run(*at, "remediate", "plan", "--out", path)
            proved = json.loads(jitscan.run(*at, "--format", "json", "remediate", "prove", path)[0])
            made.append((json.loads(path.read_text()), proved["rows"]))
        (self.plan, self.proof), (plan, proof) = made
        self.plan_path = self.out / "plan.json"
        problems = differences(said(plan), said(self.plan), "plan")
        verdicts = [Counter() for _ in made]
        for counted, (_, rows) in zip(verdicts, made):
            for row in rows:
                counted[row["verdict"]] += row["calls"]
        rows = lambda rows: {f"{row['verdict']} {row['principal']} {row['person']} {row['action']} {row['why']}":
                             [row["calls"], row["shapes"]] for row in rows}
        problems += differences(rows(proof), rows(self.proof), "proof")
        steps = sum(len(part["steps"]) for part in (*self.plan["grants"], *self.plan["changes"]))
        return check(problems, f"{len(self.plan['grants'])} grants, {len(self.plan['changes'])} principals changed in {steps} "
                     f"calls, {len(self.plan['left'])} left; {sum(verdicts[0].values())} recorded calls: "
                     + ", ".join(f"{count} {name}" for name, count in sorted(verdicts[0].items()))
                     + "; the same as of the demo itself")

    # -------------------------------------------------------- 4: sessions

    def part_sessions(self):
        from remediate_calls import Sessions, Wire
        self.principals = {part["principal"]: part["id"] for part in (*self.plan["grants"], *self.plan["changes"])}
        self.sessions, self.wire = Sessions(self.world), Wire(self.world)
        for arn in sorted(self.principals):
            self.sessions.of(arn)
        users = sum(":user/" in arn for arn in self.principals)
        return check(differences(self.before, self.world.state()), f"{users} users with access keys, "
                     f"{self.sessions.swapped} roles whose trust was another for a moment, and is to the byte what it was")

    # -------------------------------------------------------- 5: before

    def part_before(self):
        from remediate_calls import actions, distinct, documents, on, taken
        calls, outcomes = distinct(self.files / "cloudtrail", self.principals)
        action_of = actions()
        problems, self.decided, self.stale, apart, no_api = [], [], [], Counter(), Counter()
        counted, proved = Counter(), Counter()
        for row in self.proof:
            proved[row["principal"]] += row["calls"]
        for call in calls:
            counted[call.principal] += call.count
            action = action_of.get((call.service, call.name), f"{call.service}:{call.name}")
            request = self.wire.request(call)
            if request is None:
                no_api[f"{call.service}:{call.name}"] += call.count
                continue
            self.wire.bucket(request, call.principal.split(":")[4])
            decided = self.wire.decides(request)
            if decided.lower() != action.lower():
                apart[f"{action} as {decided or 'nothing'}"] += 1
                continue
            allowed, code, message = self.wire.make(self.sessions.of(call.principal), *request)
            if allowed:
                self.decided.append((call, action, request))
            elif not on(documents(self.before, call.principal), action):
                self.stale.append((call, action, request))  # what allowed it is gone: nothing to be kept
            else:
                problems.append(f"{call}: denied before the plan: {code} {message}")
        problems += [f"{short(arn)}: {counted[arn]} records, {proved[arn]} in the proof"
                     for arn in sorted(self.principals) if counted[arn] != proved[arn]]
        problems += [f"requestParameters that no parameter takes: {name}" for name in sorted(self.wire.unknown)]
        # What goes without ever having been used.
        self.taken = defaultdict(list)
        after = planned(self.before, self.plan)
        for change in self.plan["changes"]:
            arn = change["principal"]
            found = taken(self.world, documents(self.before, arn), documents(after, arn))
            self.random.shuffle(found)
            for action, request in found:
                if len(self.taken[arn]) == TAKEN:
                    break
                self.wire.bucket(request, arn.split(":")[4])
                if self.wire.decides(request).lower() == action.lower() \
                        and self.wire.make(self.sessions.of(arn), *request)[0]:
                    self.taken[arn].append((action, request))
            if not self.taken[arn]:
                problems.append(f"{short(arn)}: none of {len(found)} operations that it loses could be tried")
        problems += differences(self.before, self.world.state())
        self.report("before.json", {
            "decided": [f"{call} x{call.count}" for call, *_ in self.decided], "not decided": apart, "no API": no_api,
            "denied, for nothing allows it any more": [f"{call} x{call.count}" for call, *_ in self.stale],
            "taken": {arn: [action for action, _ in ones] for arn, ones in self.taken.items()}})
        events = lambda found: sum(call.count for call, *_ in found)
        return check(problems, f"{len(calls)} distinct calls in {sum(counted.values())} records ({dict(outcomes)}); "
                     f"{len(self.decided)} ({events(self.decided)} records) decided by the emulator and allowed; "
                     f"{sum(apart.values())} not decided by it: {'; '.join(sorted(apart)) or 'none'}; no API: "
                     f"{dict(no_api) or 'none'}; denied, as nothing allows them any more: {len(self.stale)} "
                     f"({events(self.stale)} records): {', '.join(sorted({a for _, a, _ in self.stale})) or 'none'}; "
                     f"{sum(map(len, self.taken.values()))} actions that go and were never used, allowed; "
                     f"{self.wire.made} requests, {self.wire.dry} of them stopped behind the decision")

    def report(self, name, value):
        (self.out / name).write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")

    # -------------------------------------------------------- 6: apply

    def part_apply(self):
        started = time.monotonic()
        out, err = self.jitscan.run(*self.applying(), creds=self.world.runner)
        self.apply_seconds = time.monotonic() - started
        (self.out / "apply.txt").write_text(out + err)
        self.wanted = comparable(planned(self.before, self.plan))
        self.applied = self.world.state()
        return check(differences(self.wanted, comparable(self.applied)),
                     f"the state is what the plan's steps make of the one before; {self.apply_seconds:.1f} s")

    # -------------------------------------------------------- 7: after

    def verdict_of(self, call, action):
        """The rows of the proof that speak of a call."""
        rows = [row for row in self.proof if row["principal"] == call.principal
                and set(row["examples"]) & set(call.events)]
        rows = rows or [row for row in self.proof if row["principal"] == call.principal
                        and row["action"].lower() == action.lower()]
        return rows

    def part_after(self):
        problems, counted, through = [], Counter(), defaultdict(list)
        for call, action, request in self.decided + self.stale:
            rows = self.verdict_of(call, action)
            verdicts = {row["verdict"] for row in rows}
            if len(verdicts) != 1:
                problems.append(f"{call}: the proof says {sorted(verdicts) or 'nothing'}")
                continue
            verdict = verdicts.pop()
            allowed, code, _ = self.wire.make(self.sessions.of(call.principal), *request)
            wanted = {"still_allowed": True, "through_a_grant": False, "would_be_denied": False}.get(verdict)
            counted[f"{verdict}: {'allowed' if allowed else 'denied'}"] += 1
            if wanted is not None and allowed != wanted:
                problems.append(f"{call}: the proof says {verdict} ({rows[0]['why']}), and it is "
                                f"{'allowed' if allowed else f'denied ({code})'}")
            if verdict == "through_a_grant":
                for row in rows:
                    through[row["through"]].append((row["person"], call, request))
        for arn, ones in self.taken.items():
            for action, request in ones:
                allowed, code, _ = self.wire.make(self.sessions.of(arn), *request)
                counted[f"taken away: {'allowed' if allowed else 'denied'}"] += 1
                if allowed:
                    problems.append(f"{short(arn)}: {action} is still allowed")
        for grant in self.plan["grants"]:
            problems += self.try_grant(grant, through.pop(grant["role"], []), counted)
        problems += [f"the proof names the grant {role}, the plan does not" for role in through]
        problems += differences(self.applied, self.world.state())
        return check(problems, ", ".join(f"{name} {count}" for name, count in sorted(counted.items())))

    def try_grant(self, grant, calls, counted):
        """Closed nobody gets in; open those who are eligible, and they can do what the proof says."""
        from remediate_calls import Trust
        arn, problems = grant["role"], []

        def opened(text):
            document = json.loads(text)
            for statement in document["Statement"]:
                statement["Condition"]["DateLessThan"]["aws:CurrentTime"] = FAR
                if statement["Condition"].pop("Bool", None):  # the emulator's sessions never have MFA
                    counted["trusts that asked for MFA"] += 1
            return json.dumps(document)

        def enter(person):
            from botocore.exceptions import ClientError
            sts = self.world.client("sts", self.sessions.of(grant["principal"]))
            try:
                return sts.assume_role(RoleArn=arn, RoleSessionName="jitscan",
                                       **({"SourceIdentity": person} if person else {}))["Credentials"]
            except ClientError as error:
                assert error.response["Error"]["Code"] == "AccessDenied", error
                return None
        for person in (*grant["people"], "nobody@example.com", None):
            if enter(person):
                problems.append(f"{arn} is closed, and lets {person} in")
            counted["closed grants: refused"] += 1
        with Trust(self.world, arn, opened):
            for person in ("nobody@example.com", None):
                if enter(person):
                    problems.append(f"{arn} is not for {person}, and lets in")
                counted["open grants: others refused"] += 1
            for person in grant["people"]:
                creds = enter(person)
                if creds is None:
                    problems.append(f"{arn} is open, and does not let {person} in")
                    continue
                counted["open grants: let in"] += 1
                for _, call, request in [one for one in calls if one[0] == person]:
                    allowed, code, message = self.wire.make(creds, *request)
                    counted[f"through a grant: {'allowed' if allowed else 'denied'}"] += 1
                    if not allowed:
                        problems.append(f"{call}: denied through {arn}: {code} {message}")
            for person, call, _ in calls:
                if person not in grant["people"]:
                    problems.append(f"{call}: {person} goes through {arn} and is not eligible")
        return problems

    # -------------------------------------------------------- 8 and 9: rollback, kills, two at once

    def part_rollback(self):
        started = time.monotonic()
        out, err = self.jitscan.run(*self.rolling_back(), creds=self.world.runner)
        self.rollback_seconds = time.monotonic() - started
        (self.out / "rollback.txt").write_text(out + err)
        return check(differences(self.before, self.world.state()),
                     f"to the byte the state of before; {self.rollback_seconds:.1f} s")

    def killed(self, arguments, seconds, wanted, form):
        """Kills after random times, then as often as needed until it ends; how many kills met a live process."""
        met, problems = 0, []
        for _ in range(self.args.kills):
            process = self.jitscan.start(*arguments, creds=self.world.runner)
            time.sleep(self.random.uniform(0, seconds))
            met += process.poll() is None
            process.kill()
            process.communicate()
        for attempt in range(3):
            process = self.jitscan.start(*arguments, creds=self.world.runner)
            out, err = process.communicate(timeout=900)
            if process.returncode == 0:
                break
            # A killed run may have come to its end after all.
            if "already" in err:
                break
            problems.append(f"run {attempt + 1} after the kills: exit code {process.returncode}: {err.strip()[-400:]}")
        return met, problems + differences(wanted, form(self.world.state()))

    def part_kills(self):
        met, problems = self.killed(self.applying(), self.apply_seconds, self.wanted, comparable)
        if problems:
            raise Failed(problems, f"apply, {met} kills")
        back, problems = self.killed(self.rolling_back(), self.rollback_seconds, self.before, lambda state: state)
        return check(problems, f"{met} of {self.args.kills} kills met `apply`, {back} `rollback`; applied and rolled back to "
                     "the byte all the same")

    def part_two(self):
        """Two at once: one waits or gives way, and says so."""
        problems, ended = [], []
        both = [self.jitscan.start(*self.applying(), creds=self.world.runner) for _ in range(2)]
        said = [process.communicate(timeout=900)[1].strip() for process in both]
        ended = [process.returncode for process in both]
        if 0 not in ended:
            problems.append(f"neither ended well: {said}")
        for code, text in zip(ended, said):
            if code != 0 and not text:
                problems.append(f"exit code {code}, and nothing says why")
        problems += differences(self.wanted, comparable(self.world.state()))
        self.jitscan.run(*self.rolling_back(), creds=self.world.runner)
        problems += differences(self.before, self.world.state())
        other = next((text.splitlines()[-1] for code, text in zip(ended, said) if code), "serialised")
        return check(problems, f"exit codes {sorted(ended)}; the other: {other[:160]}")


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
    for name in ("files", "store"):
        shutil.rmtree(args.out / name, ignore_errors=True)
    test = Test(args)
    try:
        return parts(test)
    finally:
        if hasattr(test, "world"):
            test.world.server.stop(args.keep)


FIRST = ("world", "store", "plan", "sessions", "before")
LAST = ("apply", "after", "rollback", "kills", "two")
# Without these the rest means nothing.
NEEDED = ("world", "store", "sessions", "apply", "rollback")


def parts(test):
    from remediate_world import Jitscan
    help_text, _ = Jitscan(test.binary, test.out / "none", os.devnull).run("remediate", "--help", expect=None)
    names, failed = FIRST, []
    if re.search(r"^\s+apply\b", help_text, re.M) and re.search(r"^\s+rollback\b", help_text, re.M):
        names += LAST
    for name in names:
        started = time.monotonic()
        try:
            figures = getattr(test, f"part_{name}")()
            print(f"ok {name}: {figures} [{time.monotonic() - started:.1f} s]", flush=True)
            continue
        except Failed as failure:
            print(f"FAILED {name}: {failure}", flush=True)
        except Exception:
            print(f"FAILED {name} [an error of the test or the program]:\n{traceback.format_exc()}", flush=True)
        failed.append(name)
        if name in NEEDED:
            break
    print(f"remediate: {len(names) - len(failed)} of {len(names)} parts hold"
          + (f"; failed: {', '.join(failed)}" if failed else "")
          + ("" if names != FIRST else "; this program has no `remediate apply` yet"), flush=True)
    if not test.args.keep and not failed:
        for name in ("demo", "files", "store"):
            shutil.rmtree(test.out / name, ignore_errors=True)
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("jitscan")
    parser.add_argument("out", type=Path)
    parser.add_argument("--keep", action="store_true", help="keep the files and the emulator's log")
    parser.add_argument("--kills", type=int, default=6, metavar="N", help="kills of each of apply and rollback")
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
    sys.stdout.flush()
    os.execv(str(python), command + (["--keep"] if args.keep else []))


if __name__ == "__main__":
    sys.exit(main())
