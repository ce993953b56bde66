"""What `remediate apply` and `rollback` refuse or leave, and with which exit code: somebody else's changes, a plan that is
out of date, too much at once, what was announced for later, one principal of many."""

import gzip
import json
import time

from remediate_round import Round, check
from remediate_state import comparable, differences
from remediate_world import AS_OF, EXECUTOR


class Refusals(Round):
    """The demo's plan, and everything that stands in its way."""
    name = "refusals"
    parts = ("store", "plan", "refused", "announced", "principal", "meddled", "denied", "stuck", "restored")

    def ended(self, *arguments):
        """(exit code, stderr) of a run as the runner."""
        process = self.jitscan.start(*arguments, creds=self.world.runner)
        _, err = process.communicate(timeout=900)
        return process.returncode, err

    def wants(self, problems, code, words, *arguments):
        found, err = self.ended(*arguments)
        if found != code or words not in err:
            problems.append(f"{[str(word) for word in arguments][:6]}: exit code {found}, not {code} with "
                            f"{words!r}: {err.strip()[-500:]}")

    def unchanged(self, problems):
        return problems + differences(self.before, self.world.state())

    def part_refused(self):
        """Nothing of it is begun."""
        problems = []
        plan, aws = self.plan_path, self.aws()
        plain = ["remediate", "apply", plan, *aws, "--window", "3650d"]
        base = [*plain, "--managed-by-code"]
        many = ["--max-principals", "1000", "--max-share", "100"]
        self.wants(problems, 2, "--yes says that it is meant", *base, *many)
        self.wants(problems, 0, "nothing was changed", *base, *many, "--dry-run")
        # What code manages is written as code, unless it is meant otherwise.
        config = self.out / "code.toml"
        config.write_text('managed_by_code = ["*:role/deploy"]\n' + (self.demo / "jitscan.toml").read_text())
        common, self.jitscan.common[3] = self.jitscan.common[3], str(config)
        self.wants(problems, 1, ":role/deploy is managed by code (by the configuration)", *plain, *many, "--yes")
        self.wants(problems, 0, "nothing was changed", *base, *many, "--dry-run")
        self.jitscan.common[3] = common
        # Nor does what a pipeline wrote, as the logs show.
        self.wants(problems, 1, ":role/report-builder is managed by a pipeline (repo:", *plain, *many, "--yes")
        # Nor what somebody wrote at a permission set since the plan was made.
        arn = next(change["principal"] for change in self.plan["changes"] if change.get("roles"))
        sso, about = self.world.sso(), {"InstanceArn": self.world.instance, "ResourceArn": arn}
        sso.tag_resource(**about, Tags=[{"Key": "managed-by", "Value": "Terraform"}])
        self.wants(problems, 1, f"{arn} is managed by Terraform (tag managed-by)", *plain, *many, "--yes")
        sso.untag_resource(**about, TagKeys=["managed-by"])
        self.wants(problems, 1, "at most 3 may change in one run", *base, "--yes", "--max-principals", "3", "--max-share", "100")
        self.wants(problems, 1, "at most 5 % may change", *base, "--yes", "--max-principals", "1000", "--max-share", "5")
        self.wants(problems, 1, "nothing of what is accepted would be denied", *base, "--yes", *many,
                   "--accept-denial", "arn:aws:iam::710293847561:role/x=s3:GetObject")
        without = [word for word in base if word not in ("--role-name", aws[1])]
        self.wants(problems, 1, "--role-name says as whom", *without, "--yes", *many)
        self.wants(problems, 0, "nothing of it was applied", *self.rolling_back())
        by_hand = self.out / "by-hand.json"
        changed = json.loads(plan.read_text())
        changed["changes"][0]["removed"] += 1
        by_hand.write_text(json.dumps(changed))
        self.wants(problems, 1, "it was changed", "remediate", "apply", by_hand, *aws, "--yes", *many)
        # Somebody changed a principal since.
        step = self.put_step()
        iam, name, policy = self.world.root(step[0]), step[1]["do"]["role"], step[1]["do"]["policy"]
        was = step[1]["undo"]["document"]
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}}))
        self.wants(problems, 1, "holds other policies than when the plan was made", *base, "--yes", *many)
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=was)
        return check(self.unchanged(problems), "13 ways, and nothing changed")

    def put_step(self):
        """A step that writes over an inline policy of a role, and is all that changes of it; with its account and principal."""
        for change in (one for one in self.plan["changes"] if len(one["steps"]) == 1):
            for step in change["steps"]:
                if step["do"]["call"] == "PutRolePolicy" and step["undo"]["call"] == "PutRolePolicy":
                    return change["account"], step, change["principal"]
        raise AssertionError("the plan writes over no inline policy")

    def part_announced(self):
        """Announced, it is not applied before; withdrawn, it may be."""
        problems = []
        self.wants(problems, 0, "announced for", *self.applying(), "--notice", "7d")
        self.wants(problems, 1, "not before", *self.applying())
        self.wants(problems, 0, "withdrawn", *self.rolling_back())
        return check(self.unchanged(problems), "announced, not applied before its time, and withdrawn")

    def part_principal(self):
        """One principal is taken back, then the rest."""
        problems = []
        rows = lambda *words: [json.loads(line) for line in self.jitscan.run(
            "--format", "ndjson", *words, creds=self.world.runner)[0].splitlines()]
        schema = [row["field"] for row in rows("schema") if row["command"] == "remediate apply, rollback"]
        for row in rows(*self.applying()):
            if list(row) != schema or row["outcome"] != "changed":
                problems.append(f"a row of apply: {row}, and not of {schema}")
        applied = self.world.state()
        arn = self.put_step()[2]
        self.wants(problems, 2, "the plan does not change it", *self.rolling_back(), "--principal", "arn:aws:iam::1:role/x")
        self.wants(problems, 0, "was taken back", *self.rolling_back(), "--principal", arn)
        account, name = arn.split(":")[4], arn.rsplit("/", 1)[-1]
        of = lambda state: state[account]["RoleDetailList"][arn]
        now = self.world.state()
        problems += differences(of(self.before), of(now))
        if not differences(comparable(applied), comparable(now)):
            problems.append("nothing was taken back")
        self.wants(problems, 0, "was taken back", *self.rolling_back())
        return check(self.unchanged(problems), f"{name} alone, then the rest")

    def part_meddled(self):
        """What somebody else changed since is not written over: exit code 5, the rest goes back; put right, it ends with 0."""
        problems = []
        self.wants(problems, 0, "is applied", *self.applying())
        account, step, _ = self.put_step()
        iam, name, policy = self.world.root(account), step["do"]["role"], step["do"]["policy"]
        theirs = json.dumps({"Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}})
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=theirs)
        code, err = self.ended(*self.rolling_back())
        if code != 5 or "could not be taken back" not in err:
            problems.append(f"exit code {code}: {err.strip()[-400:]}")
        left = differences(self.before, self.world.state())
        if len(left) != 1 or policy not in left[0] + name:
            problems.append(f"left beside what is theirs: {left}")
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=step["do"]["document"])
        self.wants(problems, 0, "was taken back", *self.rolling_back())
        return check(self.unchanged(problems), "exit code 5, one document left; put right, exit code 0")

    def refused_in_the_middle(self, action):
        """(exit code, stderr) of an application in which the executor is refused one action where it is called."""
        iam = self.world.root(self.put_step()[0])
        deny = {"Version": "2012-10-17", "Statement": {
            "Effect": "Deny", "Action": action, "Resource": "*",
            # Nothing that a state tells: only who is called sees it.
            "Condition": {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}}}
        iam.put_role_policy(RoleName=EXECUTOR, PolicyName="refuses", PolicyDocument=json.dumps(deny))
        try:
            return self.ended(*self.applying())
        finally:
            iam.delete_role_policy(RoleName=EXECUTOR, PolicyName="refuses")

    def part_denied(self):
        """The executor is refused in the middle: what was made is taken back, and exit code 1 says why."""
        problems = []
        code, err = self.refused_in_the_middle("iam:CreatePolicy")
        if code != 1 or "everything is as it was" not in err or "needs iam:CreatePolicy" not in err:
            problems.append(f"exit code {code}: {err.strip()[-400:]}")
        return check(self.unchanged(problems), "refused in the middle, and all of it taken back")

    def part_stuck(self):
        """So that it cannot be taken back either: exit code 5; once it may be, the next run ends it."""
        problems = []
        code, err = self.refused_in_the_middle("iam:DetachRolePolicy")
        if code != 5 or "could not be taken back" not in err:
            problems.append(f"exit code {code}: {err.strip()[-400:]}")
        left = differences(comparable(self.before), comparable(self.world.state()))
        if not left:
            problems.append("nothing was left, and it is said that something is")
        self.wants(problems, 1, "everything is as it was", *self.applying())
        return check(self.unchanged(problems), f"exit code 5 with {len(left)} entries left; the next run took them back")

    def records(self):
        for path in sorted(self.files.rglob("*.json.gz")):
            yield from json.loads(gzip.decompress(path.read_bytes())).get("Records", ())

    def part_restored(self):
        """A plan that takes what people used, its denials accepted by name: what they are denied then is given back to who
        is known for certain, once, for a time, and not once the plan was taken back."""
        problems = []
        plan, path = json.loads(self.plan_path.read_text()), self.out / "greedy.json"
        plan["grants"] = []
        path.write_text(json.dumps(plan))
        _, err = self.ended("remediate", "show", path)
        plan["hash"] = err.split("its hash is ")[1].split()[0]
        path.write_text(json.dumps(plan))
        base = ["--yes", "--max-principals", "1000", "--max-share", "100", *self.aws(), "--window", "3650d",
                "--managed-by-code"]
        self.wants(problems, 1, "would be denied; --accept-denial", "remediate", "apply", path, *base)
        out, _ = self.jitscan.run("--as-of", AS_OF, "--format", "json", "remediate", "prove", path, expect=3)
        denied = sorted({f"{row['principal']}={row['action']}" for row in json.loads(out)["rows"]
                         if row["verdict"] == "would_be_denied"})
        accepted = [word for one in denied for word in ("--accept-denial", one)]
        self.wants(problems, 0, "is applied", "remediate", "apply", path, *accepted, *base)
        applied = self.world.state()
        # Somebody who used it is denied it, now: with a source identity, and without. CloudTrail records whole seconds.
        time.sleep(1.1)
        like = next(record for record in self.records() if record["eventName"] == "ModifyDBInstance"
                    and "errorCode" not in record
                    and record["userIdentity"].get("arn", "").split("/")[1:2] == ["prod-db-operator"])
        folder = self.out / "denied"
        folder.mkdir()
        for number, source in enumerate(("raj.patel", None)):
            record = json.loads(json.dumps(like))
            record.update(eventID=f"denied-{number}", eventTime=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                          errorCode="AccessDenied", errorMessage="User: x is not authorized to perform: rds:ModifyDBInstance")
            if source:
                record["userIdentity"]["sessionContext"]["sourceIdentity"] = source
            (folder / f"{number}.json").write_text(json.dumps({"Records": [record]}))
        self.jitscan.run("ingest", "cloudtrail", folder)
        watching = ["--format", "json", "remediate", "watch", path, *self.aws(), "--window", "3650d"]

        def watched(*more):
            out, err = self.jitscan.run(*watching, *more, expect=3, creds=self.world.runner)
            return json.loads(out)["rows"], err
        rows, _ = watched()
        said = sorted(row["restored"] for row in rows)
        if len(rows) != 2 or not any(text.startswith("may be") for text in said) \
                or not any("source identity" in text for text in said):
            problems.append(f"before: {rows}")
        rows, err = watched("--auto-restore", "--yes")
        restored = lambda: [name for account in self.world.state().values() for role in account["RoleDetailList"].values()
                            for name in map(lambda one: one["PolicyName"], role["RolePolicyList"])
                            if name.startswith("jitscan-restored-")]
        if [row["restored"] for row in rows].count("yes") != 1 or len(restored()) != 1:
            problems.append(f"restored {restored()}: {rows} {err[-300:]}")
        kept = err.split("jitscan remediate rollback ")[-1].split()[0]
        # The same denials a second time give nothing.
        rows, _ = watched("--auto-restore", "--yes")
        if len(restored()) != 1 or not any("was given back at" in row["restored"] for row in rows):
            problems.append(f"a second time: {restored()}: {rows}")
        back = ["remediate", "rollback", path, "--yes", *self.aws()]
        self.wants(problems, 1, "roll it back first", *back)
        self.wants(problems, 0, "was taken back", "remediate", "rollback", kept, "--yes", *self.aws())
        problems += differences(applied, self.world.state())
        self.wants(problems, 0, "was taken back", *back)
        # What was taken back explains nothing any more.
        self.wants(problems, 0, "0 kinds of denied calls", *watching, "--auto-restore", "--yes")
        return check(self.unchanged(problems), f"{len(denied)} denials accepted by name; given back once, to one of two")
