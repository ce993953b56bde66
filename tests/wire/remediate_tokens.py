"""Entries with tokens of OIDC providers, made for real: who came in the logs, and others who did not.

The server looks at no signature, so that a token here says what the test wants; whether the role lets in is for its
trust policy to say, which ministack evaluates.
"""

import base64
import json
import re
from collections import Counter, defaultdict

from remediate_calls import records

CALL = "AssumeRoleWithWebIdentity"
ACTION = f"sts:{CALL}"
ANYBODY = "repo:somebody-else/project:ref:refs/heads/main"


def bound(plan):
    """The roles of which a plan says anew whom they let in."""
    return {change["principal"] for change in plan["changes"]
            if any(step["do"]["call"] == "UpdateAssumeRolePolicy" for step in change["steps"])}


def came(folder, roles):
    """{(role, issuer, audience, subject): records} of authorised entries."""
    out = Counter()
    for record in records(folder):
        role = (record.get("requestParameters") or {}).get("roleArn")
        if record["eventName"] == CALL and not record.get("errorCode") and role in roles:
            who = record["userIdentity"]
            provider, subject = who["identityProvider"], who["userName"]
            audience = who["principalId"][len(provider) + 1:-len(subject) - 1]
            out[role, provider.split(":oidc-provider/", 1)[1], audience, subject] += 1
    return out


def others(entry):
    """Like an entry, and not it: another branch, event and project of the same owner, and somebody else."""
    role, issuer, audience, subject = entry
    owner, project = re.match(r"repo:([^/]+)/([^:]+):", subject).groups()
    told = (f"repo:{owner}/{project}:ref:refs/heads/not-seen", f"repo:{owner}/{project}:pull_request",
            f"repo:{owner}/{project}-2:ref:refs/heads/main", f"repo:{owner}/other:ref:refs/heads/main", ANYBODY)
    return {(role, issuer, audience, one) for one in told} | {(role, issuer, "somebody", subject)}


def token(issuer, audience, subject):
    part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
    return ".".join((part({"alg": "none", "typ": "JWT"}),
                     part({"iss": f"https://{issuer}", "aud": audience, "sub": subject}), ""))


def let_in(world, entry):
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.exceptions import ClientError
    role, *claims = entry
    sts = boto3.client("sts", endpoint_url=world.server.url, region_name="us-east-1",
                       config=Config(signature_version=UNSIGNED, retries={"max_attempts": 1}))
    try:
        sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="token", WebIdentityToken=token(*claims))
        return True
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDenied":
            raise
        return False


class Tokens:
    """Who came into the roles that a plan binds, and who else was let in before it."""

    def __init__(self, world, plan, folder):
        self.world, self.came = world, came(folder, bound(plan))
        self.before = {entry: let_in(world, entry) for one in self.came for entry in others(one) | {one}}

    def at_first(self, proof):
        """What is wrong before the plan: who came is not let in, or the proof counts them otherwise."""
        problems = [f"{entry}: not let in before the plan" for entry in self.came if not self.before[entry]]
        counted, proved = defaultdict(int), defaultdict(int)
        for (role, _, _, subject), count in self.came.items():
            counted[role, subject] += count
        for row in proof:
            if row["action"] == ACTION:
                proved[row["principal"], row["person"]] += row["calls"]
        if counted != proved:
            problems.append(f"entries: {dict(counted)} records, {dict(proved)} in the proof")
        return problems

    def afterwards(self, proof, counted):
        """Who came is let in as the proof says; of others nobody who was not before, and fewer."""
        problems = []
        verdicts = {(row["principal"], row["person"]): row["verdict"] for row in proof if row["action"] == ACTION}
        for entry, before in sorted(self.before.items()):
            now = let_in(self.world, entry)
            if entry in self.came:
                counted[f"came by token: {'let in' if now else 'refused'}"] += 1
                if now != (verdicts[entry[0], entry[3]] == "still_allowed"):
                    problems.append(f"{entry}: {'let in' if now else 'refused'}, and the proof says otherwise")
            else:
                counted[f"others by token: {'let in' if before else 'refused'}, then {'let in' if now else 'refused'}"] += 1
                if now and (not before or entry[3] == ANYBODY):
                    problems.append(f"{entry}: let in after the plan")
        for role in {entry[0] for entry in self.came}:
            others = [entry for entry in self.before if entry[0] == role and self.before[entry] and entry not in self.came]
            if others and all(let_in(self.world, entry) for entry in others):
                problems.append(f"{role}: lets in everybody whom it did before")
        return problems
