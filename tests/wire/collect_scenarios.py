"""The scenarios of collect.py. Each takes the lab, checks, and returns its figures; a check that does not hold raises
collect_check.Failed with what differs."""

import collections
import json
import os
import re
import signal
import subprocess
import time
from urllib.parse import quote

import collect_check as forms
import collect_front
import collect_policy
import collect_read as read
import collect_resource_policies as policies
import collect_world
from collect_check import READS, Failed, check, differences, same
from front_model import action_of

SCENARIOS = {}
# Which documents an operation feeds; a kind not named here must be untouched when the operation is denied.
FEEDS = [
    ("iam", r"GetAccountAuthorizationDetails", {"iam", "last-accessed", "account"}),
    ("iam", r"(Generate|Get)CredentialReport", {"credential-report"}),
    ("iam", r"(Generate|Get)ServiceLastAccessed", {"last-accessed"}),
    ("iam", r"List(Users|Roles|Groups|Policies)$", {"account", "last-accessed", "iam"}),
    ("iam", r"", {"account"}),
    ("organizations", r"", {"organization"}),
    ("sso-admin", r"", {"identity-center"}),
    ("identitystore", r"", {"identity-center"}),
    ("cloudtrail", r"LookupEvents", set()),
    ("cloudtrail", r"ListPublicKeys", {"public-keys"}),
    ("cloudtrail", r"", {"trails"}),
    ("account", r"", {"trails", "access-analyzer", "resource-policies", "account", "public-keys"}),
    ("accessanalyzer", r"", {"access-analyzer"}),
    ("s3", r"(ListBuckets|GetBucketPolicy)$", {"resource-policies"}),
    ("s3", r"", set()),  # where the logs are, and the logs
    ("", r"", {"resource-policies"}),
]
# Documents that are worthless in part: a policy, an account or an assignment that is missing changes decisions.
WHOLE = {"iam", "organization", "identity-center", "credential-report"}
# Without these everything can still be had, another way.
OPTIONAL = {("s3", "GetBucketLocation")}
ACCOUNTS_COME_FROM = re.compile(r"^(ListAccounts|ListAccountsForParent|ListRoots|ListChildren|DescribeOrganization|"
                                r"ListOrganizationalUnitsForParent|ListParents|DescribeAccount)$")


def scenario(function):
    SCENARIOS[function.__name__] = function
    return function


def feeds(service, operation):
    return next(kinds for wanted, pattern, kinds in FEEDS
                if wanted in ("", service) and re.match(pattern, operation))


@scenario
def front_itself(lab):
    return collect_front.front_itself(lab)


# ---------------------------------------------------------------- a, b

@scenario
def field_by_field(lab):
    world = lab.world("big")
    # IAM may give fewer than MaxItems: a hundred at most here, so that a thousand asked for are still several pages.
    world.servers.control("fixtures", {"settings": {"page_size": {"iam": 100}}})
    run = lab.run(world, "big-undisturbed", trace=False).expect(0)
    documents = run.documents()
    lab.runs["big"] = run, documents
    direct, raw, counts, problems = read.Direct(world.servers), run.raw, collections.Counter(), []
    accounts = [world.management] + world.members
    rows = run.rows()
    check(set(rows) == set(accounts), f"rows for {len(rows)} accounts, not for {len(accounts)}")
    off = {account: row for account, row in rows.items() if row["outcome"] != "complete"}
    check(not off, f"not complete: {json.dumps(off)[:800]}")

    def compare(expected, found, what):
        lines = differences(expected, found)
        problems.extend([f"{what} differs:"] + ["  " + line for line in lines] if lines else [])

    for account in accounts:
        document = raw.get(f"iam/{account}")
        check(document is not None, f"no iam document for {account}; there are {sorted(raw)[:10]}")
        forms.once(document)
        fields = forms.iam_fields(document)
        compare(direct.iam(account), drop_managed(fields), f"iam/{account} (servers)")
        compare(*read.written_iam(fields, world.iam[account]), f"iam/{account} (as built)")
        counts.update({kind: len(entries) for kind, entries in fields.items()})
        compare(direct.credential_report(account), documents.get(f"credential-report/{account}"),
                f"credential-report/{account}")
        compare(direct.trails(account), forms.trail_fields(raw.get(f"trails/{account}") or []), f"trails/{account}")
    fields = forms.organization_fields(raw["organization/_"])
    compare(direct.organization(world.management), fields, "organization (servers)")
    compare(*read.written_organization(fields, world), "organization (as built)")
    fields = forms.center_fields(raw["identity-center/_"])
    compare(direct.center(world), fields, "identity-center (servers)")
    compare(*read.written_center(fields, world), "identity-center (as built)")
    problems.extend(policies.wrong(world, direct, raw))
    try:
        contents(world, run)
    except Failed as failure:
        problems.append(str(failure))
    figures = (f"world {world.seconds:.0f} s, COLLECT {run.seconds:.1f} s, {len(run.calls)} calls, "
               f"{len(run.calls) / run.seconds:.0f}/s")
    check(not problems, f"({figures})\n" + "\n".join(problems[:60]))
    missing = [name for kind in direct.raw for name in forms.left_out(direct.raw[kind], raw[f"{kind}/_"])]
    return (f"{len(accounts)} accounts, {counts['users']} users, {counts['roles']} roles, "
            f"{counts['policies']} policies, {len(fields['sets'])} permission sets, {len(fields['assignments'])} "
            f"assignments, {policies.counted(world)}, all fields equal; {figures}; not kept by jitscan: "
            + (", ".join(missing) or "nothing"))


def drop_managed(fields):
    """ministack's own GAAD has none of AWS's policies; the front adds those that are attached."""
    return dict(fields, policies={arn: one for arn, one in fields["policies"].items() if ":iam::aws:" not in arn})


def contents(world, run):
    """Documents whose form the contract leaves open: what they must name is there."""
    home = json.dumps(run.raw.get(f"account/{world.management}"), ensure_ascii=False)
    for what in world.keys + ["saml-provider/idp", "token.actions.example.com", world.mfa, '"MinimumPasswordLength"']:
        if what in world.keys and what not in [call["params"].get("AccessKeyId") for call in run.calls]:
            check(any(what in json.dumps(one) for name, one in run.raw.items() if name.startswith("account/")),
                  f"no account document names access key {what}")
        elif what not in world.keys:
            check(what in home, f"account/{world.management} does not name {what}")
    analyzed = json.dumps([one for name, one in run.raw.items() if name.startswith("access-analyzer/")])
    for finding in world.findings:
        check(f'"{finding}"' in analyzed, f"no access-analyzer document has finding {finding}")
    used = json.dumps(run.raw.get(f"last-accessed/{world.management}"), ensure_ascii=False)
    for kind in ("users", "roles"):
        for name in world.iam[world.management][kind]:
            check(f"/{name}\"" in used, f"last-accessed/{world.management} does not name {name}")


@scenario
def paging(lab):
    """AWS's page sizes on the big world; then pages of two, each list beginning with an empty page."""
    run, _ = lab.baseline("big") if "big" in lab.runs else (None, None)
    figures = ""
    if run:
        pages = collections.Counter(call["account"] for call in run.calls
                                    if call["operation"] == "GetAccountAuthorizationDetails")
        home = pages[run.world.management]
        check(home >= 2, f"{home} page(s) of GetAccountAuthorizationDetails in the management account")
        asked = collections.Counter((call["account"], call["operation"], json.dumps(call["params"], sort_keys=True))
                                    for call in run.calls if call["operation"] == "GetAccountAuthorizationDetails")
        check(max(asked.values()) == 1, f"a page was asked for twice: {asked.most_common(2)}")
        figures = f"GAAD {home} pages in the management account, {sum(pages.values())} in all; "
    _, whole = lab.baseline("small")
    world = lab.world("small")
    for settings in ({"page_size": {"*": 2}, "empty_pages": False}, {"page_size": {"*": 3}, "empty_pages": True}):
        world.servers.control("fixtures", {"settings": settings})
        try:
            run = lab.run(world, f"paging-{settings['page_size']['*']}").expect(0)
        finally:
            world.servers.control("fixtures", {"settings": {"page_size": {}, "empty_pages": False}})
        documents = run.documents()
        for name, document in run.raw.items():
            if name.startswith("iam/"):
                forms.once(document)
        same(whole, documents, f"{settings}: the documents")
        figures += f"pages of {settings['page_size']['*']}: {len(run.calls)} calls; "
    return figures + f"{len(whole)} documents equal"


@scenario
def resource_policies(lab):
    """The documents on the small world, how they were asked for, and resources that go between list and question."""
    run, whole = lab.baseline("small")
    world = lab.world("small")
    problems = policies.wrong(world, read.Direct(world.servers), run.raw) + policies.ill_asked(world, run.calls)
    gone = {service: ["gone-1", "gone-2"] for service in policies.GOES}
    world.servers.control("fixtures", {"ghosts": {world.management: {region: gone for region in policies.REGIONS}}})
    try:
        later = lab.run(world, "resources-gone").expect(0)
    finally:
        world.servers.control("fixtures", {"ghosts": {world.management: {}}})
    problems += differences(whole, later.documents(), "with resources that go: ")
    asked = {call["service"] for call in later.calls if "gone-" in json.dumps(call["params"])}
    problems += [f"the {service} that goes was not asked for" for service in sorted(set(gone) - asked)]
    # A policy may close itself to us; that costs this resource alone.
    arns = {service: min(world.resources[world.management][service]) for service in ("kms", "s3", "sns")}
    world.servers.faults(*[
        {"kind": "access_denied", "operation": policies.ASKS[service], "account": world.management, "contains":
         quote(arn, safe="") if service == "sns" else arn.split(":")[-1].removeprefix("key/")}
        for service, arn in arns.items()])
    closed = lab.run(world, "resources-closed").expect(4)
    world.servers.faults()
    kept, name = closed.documents(), f"resource-policies/{world.management}"
    problems += differences(dict(whole, **{name: policies.closed(whole[name], arns.values())}), kept, "closed: ")
    problems += [f"no word of {arn}" for arn in arns.values() if arn not in closed.said()]
    check(not problems, "\n".join(problems[:60]))
    return (f"{policies.counted(world)}; equal, also without those that go, of {len(gone)} services, and with "
            f"{len(arns)} that are closed")


@scenario
def policy_validate(lab):
    return collect_policy.policy_validate(lab)


# ---------------------------------------------------------------- c

@scenario
def denied_each(lab):
    base, whole = lab.baseline("small")
    world, problems, held = lab.world("small"), [], 0
    operations = set(base.operations())
    if "big" in lab.runs:
        operations |= set(lab.runs["big"][0].operations())
    for service, operation in sorted(operations):
        if (service, operation) not in set(base.operations()):
            problems.append(f"{service}:{operation} was called on the big world only; not tried")
            continue
        world.servers.faults({"kind": "access_denied", "service": service, "operation": operation})
        try:
            denied_one(lab, world, service, operation, whole)
            held += 1
        except Failed as failure:
            problems.append(str(failure))
        finally:
            world.servers.faults()
    check(not problems, f"{held} of {len(operations)} operations hold\n" + "\n".join(problems))
    return f"{held} operations, each denied alone"


def untagged(center):
    """Identity Center without the tags of its permission sets: what they grant holds without them."""
    sets = [{key: value for key, value in one.items() if key != "Tags"} for one in center["PermissionSets"]]
    return dict(center, PermissionSets=sets)


def denied_one(lab, world, service, operation, whole):
    name = f"denied-{service}-{operation}"
    run = lab.run(world, name).expect(1 if operation == "GetCallerIdentity" else 4,
                                      *[0] * ((service, operation) in OPTIONAL))
    if run.code == 0:
        same(whole, run.documents(), f"{name}: the documents")
        return
    action = action_of(service, operation)
    # Access Analyzer's findings of version 2 come under the action of version 1.
    check(action.removesuffix("V2") in run.said(), f"{name}: no message names {action}\n{run.tail()}")
    if operation == "GetCallerIdentity":
        return
    documents = run.documents()
    touched, members = feeds(service, operation), True
    if service == "sts" or service == "organizations" and ACCOUNTS_COME_FROM.match(operation):
        members, touched = False, touched if service != "sts" else set()
    for document, expected in whole.items():
        kind, account = document.split("/")
        if not members and account in world.members:
            continue  # nobody could know of that account, or enter it
        found = documents.get(document)
        if kind in touched:
            if found is None or found == expected:
                continue
            if operation == "ListTagsForResource":
                same(untagged(expected), found, f"{name}: {document}")
                continue
            check(kind not in WHOLE, f"{name}: {document} is half: {differences(expected, found)[:4]}")
            if kind == "resource-policies" and service in policies.LISTS:
                same(policies.without(expected, service, operation), found, f"{name}: {document}")
            continue
        check(found is not None, f"{name}: {document} is missing though it needs no {action}")
        same(expected, found, f"{name}: {document}")
    check(not set(documents) - set(whole), f"{name}: more documents than undisturbed: {set(documents) - set(whole)}")


# ---------------------------------------------------------------- d

# The SDKs wait about 2^n seconds before attempt n. Five throttled calls in a row of every operation are many minutes
# of waiting, one after the other, in the organisation's part alone; so every operation has two, and those on which all
# depends have five.
STORM_TIMEOUT_S = 420
STORMS = {
    "throttle": [{"kind": "throttle", "operation": ["GetAccountAuthorizationDetails", "ListAccounts"], "times": 5,
                  "per": ["operation"]}, {"kind": "throttle", "per": ["operation"], "times": 2}],
    "http500": [{"kind": "http500", "per": ["operation"], "times": 2}],
    "html": [{"kind": "html", "per": ["operation"], "times": 1}],
    "truncated": [{"kind": "truncated", "per": ["operation"], "times": 1}],
    "reset": [{"kind": "reset", "per": ["operation"], "times": 1}],
    "late-throttle": [{"kind": "throttle", "per": ["operation", "account"], "after": 2, "times": 2}],
}


@scenario
def storms(lab):
    _, whole = lab.baseline("small")
    world, figures, problems = lab.world("small"), [], []
    for name, rules in STORMS.items():
        world.servers.faults(*rules)
        try:
            run = lab.run(world, f"storm-{name}", "--max-attempts", "9", timeout=STORM_TIMEOUT_S).expect(0)
            same(whole, run.documents(), f"storm {name}: the documents")
            hits = sum(rule["hits"] for rule in world.servers.control("faults"))
            figures.append(f"{name} {hits} hits {run.seconds:.0f} s")
        except Failed as failure:
            problems.append(str(failure))
        finally:
            world.servers.faults()
    for part in (hangs, expires):
        try:
            figures.append(part(lab, world, whole))
        except Failed as failure:
            problems.append(str(failure))
        finally:
            world.servers.faults()
    check(not problems, f"held: {', '.join(figures)}\n" + "\n".join(problems))
    return "; ".join(figures)


def hangs(lab, world, whole):
    member = world.members[0]
    world.servers.faults({"kind": "hang", "operation": "GetAccountAuthorizationDetails", "account": member})
    run = lab.run(world, "storm-hang", "--timeout", "2", "--max-attempts", "2", timeout=180).expect(4)
    tried = [call for call in run.calls if call.get("fault") == "hang"]
    check(len(tried) == 2, f"hang: {len(tried)} attempts at the call that hangs, not 2")
    check(re.search(r"tim(ed?|e) ?-?out|timeout|no answer", run.said(), re.I), f"hang: no word of it\n{run.tail()}")
    check(run.rows()[member]["outcome"] in ("partial", "failed"), f"hang: {run.rows()[member]}")
    documents = run.documents()
    check(f"iam/{member}" not in documents, "hang: an iam document without its answer")
    others = {name: one for name, one in whole.items() if not name.endswith(member)}
    same(others, {name: documents.get(name) for name in others}, "hang: the other accounts' documents")
    return f"hang over in {run.seconds:.0f} s"


def expires(lab, world, whole):
    """The caller's key expires half-way, then a member's session; what was collected stays, the next run completes."""
    base, _ = lab.baseline("small")
    figures, key = [], world.caller["AccessKeyId"]
    own = sum(call["key"] == key for call in base.calls)
    member = world.members[1]
    for name, rule in (("caller", {"key": key, "after": own // 2}), ("member", {"account": member, "after": 4})):
        world.servers.faults(dict(rule, kind="expired_token"))
        run = lab.run(world, f"storm-expired-{name}").expect(4, 1)
        check(re.search(r"expired", run.said(), re.I), f"expired {name}: no word of it\n{run.tail()}")
        world.servers.faults()
        kept = run.documents()
        for document, found in kept.items():
            if document.split("/")[0] in WHOLE:
                same(whole[document], found, f"expired {name}: {document}")
        before = run.rows() if run.code == 4 else {}
        again = lab.run(world, f"storm-expired-{name}-again", store=run.store).expect(0)
        same(whole, again.documents(), f"expired {name}: the documents after the second run")
        done = {account for account, row in before.items() if row["outcome"] == "complete"}
        asked = {call["account"] for call in again.calls if call["operation"] != "GetCallerIdentity"
                 and call["service"] in ("iam", "accessanalyzer")}
        check(not done & (asked - {world.management}), f"expired {name}: asked again though complete: {done & asked}")
        figures.append(f"expired {name}: {len(kept)}/{len(whole)} documents kept, {len(again.calls)} calls to finish")
    return ", ".join(figures)


# ---------------------------------------------------------------- e

def kill_after(world, accounts, sig):
    """Waits until so many accounts have been asked, then sends the signal to the binary alone."""
    def at(run, since):
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and run.process.poll() is None:
            if len({call["account"] for call in world.servers.calls(since)}) >= accounts:
                time.sleep(0.3)
                os.kill(run.process.pid, sig)
                return
            time.sleep(0.1)
        raise Failed(f"{run.name}: it ended or stood still before {accounts} accounts were asked")
    return at


@scenario
def interrupted(lab):
    base, whole = lab.baseline("many")
    world, figures = lab.world("many"), []
    slow = {"kind": "delay", "seconds": 0.08}
    kinds_of = collections.defaultdict(set)
    for document in whole:
        kind, account = document.split("/")
        kinds_of[account].add(kind)
    for name, sig in (("SIGTERM", signal.SIGTERM), ("SIGKILL", signal.SIGKILL)):
        world.servers.faults(slow)
        run = lab.run(world, f"interrupted-{name}", "--at-once", "2", at=kill_after(world, 7, sig))
        world.servers.faults()
        check(run.code == (1 if sig == signal.SIGTERM else -signal.SIGKILL),
              f"{name}: exit code {run.code}\n{run.tail()}")
        kept = run.documents()
        for document, found in kept.items():
            same(whole[document], found, f"{name}: {document} after the interruption")
        done = {account for account in world.members
                if kinds_of[account] <= {document.split("/")[0] for document in kept if document.endswith(account)}}
        check(1 <= len(done) < len(world.members), f"{name}: {len(done)} accounts were done, not some")
        again = lab.run(world, f"interrupted-{name}-again", "--at-once", "2", store=run.store).expect(0)
        same(whole, again.documents(), f"{name}: the documents after the second run")
        asked = {call["account"] for call in again.calls}
        # The two accounts in work at the signal may be whole on disk and not yet marked as done.
        check(len(done & asked) <= 2, f"{name}: asked again though done: {sorted(done & asked)} of {sorted(done)}")
        figures.append(f"{name} after {len(done)}/{len(world.members)} accounts, second run {len(again.calls)} of "
                       f"{len(base.calls)} calls")
    figures.append(never_half(lab, world, whole, slow))
    return "; ".join(figures)


def never_half(lab, world, whole, slow):
    """On a changed world, over a complete store, cut off in the middle: each iam document is the old or the new."""
    first = lab.run(world, "whole-old").expect(0)
    old = {name: one for name, one in first.documents().items() if name.startswith("iam/")}
    # One page for an object, so that the interruption falls between the pages of an account.
    world.servers.control("fixtures", {"settings": {"page_size": {"iam": 1}}})
    for account in world.members:
        world.client("iam", account).create_user(UserName="newcomer")
        world.iam[account]["users"]["newcomer"] = collect_world.user_record("newcomer", "/")
    try:
        world.servers.faults(slow)
        cut = lab.run(world, "whole-cut", "--at-once", "3", store=first.store, at=kill_after(world, 6, signal.SIGKILL))
        world.servers.faults()
        found = {name: one for name, one in cut.documents().items() if name.startswith("iam/")}
        done = lab.run(world, "whole-new", store=first.store).expect(0)
        new = {name: one for name, one in done.documents().items() if name.startswith("iam/")}
    finally:
        world.servers.faults()
        world.servers.control("fixtures", {"settings": {"page_size": {}}})
        for account in world.members:
            world.client("iam", account).delete_user(UserName="newcomer")
            world.iam[account]["users"].pop("newcomer", None)
    check(set(found) == set(old), f"cut off: {set(old) - set(found)} vanished")
    half = [name for name in found if found[name] not in (old[name], new[name])]
    check(not half, f"cut off: neither the old nor the new document: {half}")
    stale = [name for name in new if name.split('/')[1] in world.members and "newcomer" not in json.dumps(new[name])]
    check(not stale, f"the run after the interruption left old documents: {stale}")
    fresh = sum(found[name] == new[name] != old[name] for name in found)
    return f"cut off over a whole store: {fresh} of {len(found)} documents new, the rest old"


# ---------------------------------------------------------------- h, i

@scenario
def same_usage(lab):
    """The same records from a trail's bucket and from LookupEvents give the same usage."""
    answers, figures = {}, []
    records = collect_world.events(lab.management, 700, seed=5)
    for name in ("usage-trail", "usage-lookup"):
        world = lab.world(name, build=False)
        world.client("organizations").create_organization(FeatureSet="ALL")
        world.build_caller()
        account = world.management
        world.build_iam(account, 1)
        if name == "usage-trail":
            bucket, client = f"trail-{account}", world.client("cloudtrail")
            world.client("s3").create_bucket(Bucket=bucket)
            arn = client.create_trail(Name="all-regions", S3BucketName=bucket, IsMultiRegionTrail=True)["TrailARN"]
            client.start_logging(Name=arn)
            files = collect_world.put_logs(world.client("s3"), bucket, account, records)
        else:
            world.servers.control("fixtures", {"events": {account: {
                region: [record for record in records if record["awsRegion"] == region]
                for region in ("us-east-1", "eu-west-1")}}})
        run = lab.run(world, name, "--since", "90d").expect(0)
        pages = sum(call["operation"] == "LookupEvents" for call in run.calls)
        objects = sum(call["operation"] == "GetObject" for call in run.calls)
        check((objects == files and not pages) if name == "usage-trail" else (pages >= 14 and not objects),
              f"{name}: {objects} objects of {files}, {pages} pages of LookupEvents")
        figures.append(f"{objects} objects" if objects else f"{pages} pages of LookupEvents")
        answers[name] = usage(lab, world, run)
    same(*(forms.canonical(answers[name]) for name in ("usage-trail", "usage-lookup")), "usage")
    check(len(answers["usage-trail"]) >= 5, f"usage says too little: {answers['usage-trail']}")
    return f"700 events: {' and '.join(figures)}: {len(answers['usage-trail'])} rows equal"


def usage(lab, world, run):
    made = subprocess.run([lab.binary, "--store", str(run.store), "--format", "json", "usage"], capture_output=True,
                          text=True, timeout=120, env=run.environment(world.caller, False), cwd=run.folder)
    check(made.returncode == 0, f"{run.name}: usage: {made.returncode}\n{made.stderr[-1500:]}")
    return json.loads(made.stdout)["rows"]


@scenario
def dry_run(lab):
    base, _ = lab.baseline("small")
    world = lab.world("small")
    run = lab.run(world, "dry-run", "--dry-run").expect(0)
    beyond = [pair for pair in run.operations() if pair != ("sts", "GetCallerIdentity") and pair[0] != "organizations"]
    check(not beyond, f"--dry-run called {beyond}")
    check(re.search(r"\d", run.said()), "--dry-run printed no numbers")
    check(not run.documents(), f"--dry-run wrote {sorted(run.documents())[:5]}")
    named = {operation for _, operation in base.operations()}
    missing = sorted(operation for operation in named if operation not in run.said())
    for wanted in ("GetAccountAuthorizationDetails", *policies.OPERATIONS):
        check(wanted not in missing, f"--dry-run does not name the calls; not {missing}")
    return f"{len(run.calls)} calls; names {len(named) - len(missing)} of {len(named)} operations; not {missing[:8]}"


# ---------------------------------------------------------------- f, g: over everything before

@scenario
def no_writes(lab):
    lab.baseline("small")
    writes = [f"{service}:{operation} in {name}" for (service, operation), name in sorted(lab.seen_calls.items())
              if not READS.match(operation)]
    check(not writes, "calls that are no reads: " + ", ".join(writes))
    return f"{len(lab.seen_calls)} operations in all runs, every one a read"


@scenario
def no_secrets(lab):
    """Alone (--only), this looks at one traced run; after the others, at all of theirs."""
    lab.baseline("small")
    check(not lab.leaks, f"{len(lab.leaks)} leaks\n" + "\n".join(lab.leaks[:20]))
    return f"{lab.looked_at} files of all runs, no secret, token, signature or Authorization header"
