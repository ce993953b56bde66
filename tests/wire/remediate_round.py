"""The parts of remediate.py about one plan: who may do what before it, after it, and after it was taken back."""

import json
import random
import signal
import time
from collections import Counter, defaultdict

from botocore.exceptions import ClientError

from remediate_calls import (Assigned, Sessions, Trust, Wire, actions, distinct, documents, on, roles_of, source_of,
                             taken)
from remediate_elsewhere import elsewhere
from remediate_state import comparable, differences, holders, nameless, planned, said
from remediate_tokens import ACTION, Tokens
from remediate_world import AS_OF, EXECUTOR, REGION, Jitscan, as_the_cli, ingest, rewritten

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


class Round:
    """One plan on one store: made, proved, applied, tried, and taken back."""
    name = "demo"
    parts = ("store", "plan", "sessions", "before", "apply", "after", "rollback", "kills", "two")

    @staticmethod
    def form(details):
        """The state as it is ingested: as `collect` writes it, documents as the texts that IAM sends."""
        return details

    def __init__(self, args, world, demo):
        self.args, self.world, self.demo = args, world, demo
        self.out = args.out / f"{self.name}-plan"
        self.files, self.plan_path = self.out / "files", self.out / "plan.json"
        self.jitscan = Jitscan(args.jitscan, self.out / "store", demo / "jitscan.toml")
        self.random, self.kills = random.Random(20261122), args.kills

    def aws(self):
        return ["--role-name", EXECUTOR, "--endpoint-url", self.world.server.url, "--region", REGION]

    def applying(self):
        return ["remediate", "apply", self.plan_path, "--yes", "--managed-by-code", "--max-principals", "1000", "--max-share", "100",
                *self.aws(), "--window", "3650d"]

    def rolling_back(self):
        return ["remediate", "rollback", self.plan_path, "--yes", *self.aws()]

    # -------------------------------------------------------- 1 to 3: store, plan and proof

    def part_store(self):
        replaced, files = rewritten(self.world, self.files)
        ingest(self.world, self.jitscan, self.files, self.form)
        self.before = self.world.state()
        return f"{len(self.world.ids)} ids of the emulator written {replaced} times into {files} files of the demo"

    def plan_and_proof(self, jitscan, path, *more):
        """A plan with the rows of its proof."""
        at = ["--as-of", AS_OF]
        # Also what a pipeline of the demo changed.
        jitscan.run(*at, "remediate", "plan", "--managed-by-code", "--out", path, *more)
        proved = json.loads(jitscan.run(*at, "--format", "json", "remediate", "prove", path)[0])
        return json.loads(path.read_text()), proved["rows"]

    def part_plan(self):
        """The plan and the proof are those of the demo itself."""
        self.plan, self.proof = self.plan_and_proof(self.jitscan, self.plan_path)
        own = Jitscan(self.args.jitscan, self.demo / "store", self.demo / "jitscan.toml")
        plan, proof = self.plan_and_proof(own, self.out / "plan-of-demo.json")
        told = ("verdict", "principal", "person", "action", "why")
        rows = lambda rows: {nameless(" ".join(row[name] for name in told)): [row["calls"], row["shapes"]]
                             for row in rows}
        problems = differences(said(plan), said(self.plan), "plan")
        problems += differences(rows(proof), rows(self.proof), "proof")
        return check(problems, self.told() + "; the same as of the demo itself")

    def told(self):
        parts = (*self.plan["grants"], *self.plan["changes"])
        steps = Counter(step["do"]["call"] for part in parts for step in part["steps"])
        verdicts = Counter()
        for row in self.proof:
            verdicts[row["verdict"]] += row["calls"]
        return (f"{len(self.plan['grants'])} grants, {len(self.plan['changes'])} principals changed in {steps.total()} "
                "calls (" + ", ".join(f"{count} {call}" for call, count in sorted(steps.items()))
                + f"), {len(self.plan['left'])} left; {verdicts.total()} recorded calls: "
                + ", ".join(f"{count} {name}" for name, count in sorted(verdicts.items())))

    # -------------------------------------------------------- 4: sessions

    def part_sessions(self):
        self.principals = {arn: number for part in (*self.plan["grants"], *self.plan["changes"])
                           for arn, number in holders(self.before, part).items()}
        self.sessions, self.wire = Sessions(self.world), Wire(self.world)
        for arn in sorted(self.principals):
            self.sessions.of(arn)
        users = sum(":user/" in arn for arn in self.principals)
        return check(differences(self.before, self.world.state()), f"{users} users with access keys, "
                     f"{self.sessions.swapped} roles whose trust was another for a moment and is to the byte as it was")

    # -------------------------------------------------------- 5: before

    def part_before(self):
        calls, outcomes = distinct(self.files / "cloudtrail", self.principals)
        action_of = actions()
        problems, self.decided, self.stale, apart, no_api, undecided = [], [], [], Counter(), Counter(), 0
        counted, proved = Counter(), Counter()
        for row in self.proof:
            proved[row["principal"]] += row["calls"] if row["action"] != ACTION else 0
        self.tokens = Tokens(self.world, self.plan, self.files / "cloudtrail")
        problems += self.tokens.at_first(self.proof)
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
                apart[f"{action} as {decided or 'nothing'}"] += call.count
                undecided += 1
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
        untried = self.losses(problems)
        # What is confined goes through elsewhere, too, as far as anything allowed it there.
        self.elsewhere = [one for one in elsewhere(self.plan, self.decided)
                          if self.wire.make(self.sessions.of(one[0]), *one[2])[0]]
        problems += differences(self.before, self.world.state())
        self.report("before.json", {
            "decided": [f"{call} x{call.count}" for call, *_ in self.decided], "not decided": apart, "no API": no_api,
            "denied, for nothing allows it any more": [f"{call} x{call.count}" for call, *_ in self.stale],
            "taken": {arn: [action for action, _ in ones] for arn, ones in self.taken.items()}})
        events = lambda found: sum(call.count for call, *_ in found)
        return check(problems, f"{len(calls)} distinct calls in {sum(counted.values())} records ({dict(outcomes)}); "
                     f"{len(self.decided)} ({events(self.decided)} records) decided by the emulator and allowed; "
                     f"{undecided} ({sum(apart.values())} records) not decided by it: "
                     f"{'; '.join(sorted(apart)) or 'none'}; no API: {dict(no_api) or 'none'}; "
                     f"denied, as nothing allows them any more: {len(self.stale)} "
                     f"({events(self.stale)} records): {', '.join(sorted({a for _, a, _ in self.stale})) or 'none'}; "
                     f"{sum(map(len, self.taken.values()))} actions that go and were never used, allowed"
                     f"{untried}; {self.wire.made} requests, {self.wire.dry} of them stopped behind the decision")

    def losses(self, problems):
        """What goes without ever having been used, to be tried again after the plan; of whom nothing can be tried."""
        self.taken, after, untried = defaultdict(list), planned(self.before, self.plan), []
        narrowed = [one for one in self.plan["changes"] if one["removed"]]  # others lose nothing of what they may do
        for arn in (arn for change in narrowed for arn in holders(self.before, change)):
            found, decided = taken(self.world, documents(self.before, arn), documents(after, arn)), 0
            self.random.shuffle(found)
            for action, request in found:
                if len(self.taken[arn]) == TAKEN:
                    break
                self.wire.bucket(request, arn.split(":")[4])
                if self.wire.decides(request).lower() == action.lower():
                    decided += 1
                    if self.wire.make(self.sessions.of(arn), *request)[0]:
                        self.taken[arn].append((action, request))
            if not self.taken[arn] and not decided and "/aws-reserved/" in arn:
                untried.append(short(arn))  # a permission set of services that the emulator does not have
            elif not self.taken[arn]:
                problems.append(f"{short(arn)}: none of {len(found)} operations that it loses could be tried")
        return f", none of {', '.join(untried)}" if untried else ""

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
        problems, counted, through, untrue = [], Counter(), defaultdict(list), Counter()
        for call, action, request in self.decided + self.stale:
            rows = self.verdict_of(call, action)
            verdicts = {row["verdict"] for row in rows}
            if len(verdicts) != 1:
                problems.append(f"{call}: the proof says {sorted(verdicts) or 'nothing'}")
                continue
            verdict = verdicts.pop()
            allowed, code, _ = self.wire.make(self.sessions.of(call.principal), *request)
            wanted = {"still_allowed": True, "through_a_grant": False, "would_be_denied": False,
                      "person_left": False}.get(verdict)
            counted[f"{verdict}: {'allowed' if allowed else 'denied'}"] += 1
            if wanted and not allowed and (call, action, request) in self.stale:
                untrue[f"{short(call.principal)} {action}: nothing allows it before the plan or after, and the proof "
                       f"says {verdict}: {rows[0]['why']}"] += call.count
            elif wanted is not None and allowed != wanted:
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
        for arn, action, request in self.elsewhere:
            counted["on other resources: denied"] += 1
            if self.wire.make(self.sessions.of(arn), *request)[0]:
                problems.append(f"{short(arn)}: {action} is still allowed on other resources: {request[3]}")
        for grant in self.plan["grants"]:
            attempt = self.try_set if ":permissionSet/" in grant["principal"] else self.try_grant
            problems += attempt(grant, through.pop(grant["role"], []), counted)
        problems += self.tokens.afterwards(self.proof, counted)
        problems += [f"{what} ({count} records)" for what, count in untrue.items()]
        problems += [f"the proof names the grant {role}, the plan does not" for role in through]
        problems += differences(self.applied, self.world.state())
        return check(problems, ", ".join(f"{name} {count}" for name, count in sorted(counted.items())))

    def try_grant(self, grant, calls, counted):
        """Closed nobody gets in; open those who are eligible, and they can do what the proof says."""
        arn, problems, refused = grant["role"], [], []

        def opened(text):
            document = json.loads(text)
            for statement in document["Statement"]:
                statement["Condition"]["DateLessThan"]["aws:CurrentTime"] = FAR
            return json.dumps(document)

        trust = next(step["do"]["trust"] for step in grant["steps"] if step["do"]["call"] == "CreateRole")
        mfa = {"SerialNumber": grant["principal"].replace(":user/", ":mfa/"), "TokenCode": "123456"} \
            if "aws:MultiFactorAuthPresent" in trust else {}

        # As whom they came in the logs: what their sessions said of them stays.
        sources = {person: source_of(call.record) for person, call, _ in calls}

        def says(person):
            """The source identity by which somebody says who they are; what their session says already stays."""
            taken, user = grant["source_identities"], grant["principal"].rsplit("/", 1)[-1]
            if sources.get(person):
                return sources[person]
            return user if person not in taken and user in taken and person in grant["people"] else person

        def enter(person, **more):
            sts = self.world.client("sts", self.sessions.of(grant["principal"], sources.get(person)))
            try:
                return sts.assume_role(RoleArn=arn, RoleSessionName="jitscan", **more,
                                       **({"SourceIdentity": says(person)} if person else {}))["Credentials"]
            except ClientError as error:
                refused.append(f"{error.response['Error']['Code']}: {error.response['Error']['Message']}")
                return None
        for person in (*grant["people"], "nobody@example.com", None):
            if enter(person, **mfa):
                problems.append(f"{arn} is closed, and lets {person} in")
            counted["closed grants: refused"] += 1
        with Trust(self.world, arn, opened):
            for person in ("nobody@example.com", None):
                if enter(person, **mfa):
                    problems.append(f"{arn} is not for {person}, and lets in")
                counted["open grants: others refused"] += 1
            for person in grant["people"]:
                if mfa:
                    counted["open grants: refused without MFA"] += 1
                    if enter(person):
                        problems.append(f"{arn} asks for MFA, and lets {person} in without")
                creds = enter(person, **mfa)
                if creds is None:
                    problems.append(f"{arn} is open, and does not let {person} in: {refused[-1]}")
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

    def try_set(self, grant, calls, counted):
        """The same of a permission set: nobody is assigned to it, so it is no role; assigned to those who are eligible
        in an account it is one there, and can do what the proof says, until the assignments are taken away."""
        name, problems = grant["role"], []
        one = self.applied[self.world.management]["PermissionSets"][name]
        for account in self.world.accounts:
            counted["closed grants: no role"] += 1
            problems += [f"{name} is closed, and is {role}" for role in roles_of(self.world, name, account)]
        for account, people in sorted(grant["reach"].items()):
            with Assigned(self.world, one, account, people) as role:
                counted["open grants: assigned"] += len(people)
                creds = self.sessions.of(role)
                for person, call, request in calls:
                    if person not in people or call.principal.split(":")[4] != account:
                        continue
                    allowed, code, message = self.wire.make(creds, *request)
                    counted[f"through a grant: {'allowed' if allowed else 'denied'}"] += 1
                    if not allowed:
                        problems.append(f"{call}: denied through {role}: {code} {message}")
        for person, call, _ in calls:
            if person not in grant["reach"].get(call.principal.split(":")[4], ()):
                problems.append(f"{call}: {person} goes through {name} and is not eligible there")
        return problems

    # -------------------------------------------------------- 8 and 9: rollback, kills, two at once

    def part_rollback(self):
        started = time.monotonic()
        out, err = self.jitscan.run(*self.rolling_back(), creds=self.world.runner)
        self.rollback_seconds = time.monotonic() - started
        (self.out / "rollback.txt").write_text(out + err)
        return check(differences(self.before, self.world.state()),
                     f"to the byte the state of before; {self.rollback_seconds:.1f} s")

    def how_far(self):
        """How many entries of IAM are not what they were."""
        return len(differences(comparable(self.before), comparable(self.world.state())))

    def kill(self, arguments, seconds):
        """How far it came when it was killed after a random time; None where it had come to its end."""
        process = self.jitscan.start(*arguments, creds=self.world.runner)
        time.sleep(self.random.uniform(0.1 * seconds, seconds))
        process.kill()
        process.communicate()
        return self.how_far() if process.returncode == -signal.SIGKILL else None

    def ends(self, arguments, problems):
        """Runs it to its end; a killed run may have come to it, all but saying so."""
        process = self.jitscan.start(*arguments, creds=self.world.runner)
        err = process.communicate(timeout=900)[1]
        if process.returncode != 0 and "already" not in err:
            problems.append(f"{arguments[1]} after kills: exit code {process.returncode}: {err.strip()[-400:]}")

    def killed(self, arguments, seconds, back, wanted, form):
        """Kills, each of them of a run that goes on where the last one was killed, and a run to the end."""
        met, problems = [], []
        for _ in range(5 * self.kills):
            if len(met) == self.kills:
                break
            far = self.kill(arguments, seconds)
            if far is not None:
                met.append(far)
            else:  # to its end in spite of it: from the start again
                problems += differences(wanted, form(self.world.state()))
                self.ends(back, problems)
        self.ends(arguments, problems)
        return met, problems + differences(wanted, form(self.world.state()))

    def part_kills(self):
        whole = lambda state: state
        forth, back = self.applying(), self.rolling_back()
        at_apply, problems = self.killed(forth, self.apply_seconds, back, self.wanted, comparable)
        at_rollback, more = self.killed(back, self.rollback_seconds, forth, self.before, whole)
        problems += more
        between = []
        for _ in range(self.kills // 2):  # not to the end, but back from the middle
            between.append(self.kill(forth, self.apply_seconds))
            self.ends(back, problems)
            problems += differences(self.before, self.world.state())
        return check(problems, f"killed with so many entries of IAM changed: apply {at_apply}, rollback {at_rollback}, "
                     f"apply and then rolled back {between}; each time it ended as if nothing had been")

    def part_two(self):
        """Two at once: one waits or gives way, and says so."""
        problems = []
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


class Printed(Round):
    """The same from an export of the AWS CLI: the texts to be put back to the byte are then known to nobody but IAM."""
    name = "printed"
    parts = ("store", "plan", "apply", "rollback")
    form = staticmethod(as_the_cli)
