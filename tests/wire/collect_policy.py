"""`jitscan policy validate` against the front, which answers from the fixture `checks`: rows, exit codes, what is
asked, and that nothing is kept."""

import json

from collect_check import Failed, check, same

FOUND = ("ERROR", "SECURITY_WARNING", "WARNING", "SUGGESTION")


def document(*actions, principal=None):
    return {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": list(actions), "Resource": "*",
        **({"Principal": principal} if principal else {})}]}


def finding(kind, number, place=True):
    """As AWS answers: the names of members come as `value`, lines from 1, columns from 0."""
    path = [{"value": "Statement"}, {"index": number}, {"value": "Action"}, {"index": 1}]
    span = {"start": {"line": number + 3, "column": 17, "offset": 60}, "end": {"line": number + 3, "column": 30,
                                                                               "offset": 73}}
    return {"findingType": kind, "issueCode": f"CODE_{number}", "findingDetails": f"Détail {number}: {kind}, 漢字",
            "learnMoreLink": f"https://docs.example/{number}", "locations": [{"path": path, "span": span}] if place
            else []}


def found_row(file, one, number, place=True):
    row = {"file": file, "check": "ValidatePolicy", "result": one, "code": f"CODE_{number}",
           "message": f"Détail {number}: {one}, 漢字"}
    # jitscan counts columns from 1, as editors do.
    return row, [f"Statement[{number}].Action", f"{number + 3}:18"] if place else []


def plain(file, name, result="PASS", message=None, statement=None):
    return {"file": file, "check": name, "result": result, "code": "",
            **({} if message is None else {"message": message})}, [f"Statement[{statement}]"] if statement else []


def failing(message, *reasons):
    """A check that fails; its reasons are for statements, its message for all."""
    return {"result": "FAIL", "message": message, "reasons": [
        {"description": description, "statementIndex": index} for index, description in enumerate(reasons)]}


class Bench:
    """The files, and the runs over them."""

    def __init__(self, lab):
        self.lab, self.world, self.calls, self.count, self.problems = lab, lab.world("small"), [], 0, []
        self.folder = lab.out / "policies"
        self.folder.mkdir(parents=True, exist_ok=True)

    def file(self, name, content):
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
        return str(path)

    def run(self, *args, code=0):
        self.count += 1
        run = self.lab.run(self.world, f"policy-{self.count}", "validate", *args, "--endpoint-url",
                           self.world.servers.url, command="policy").expect(code)
        left = sorted(str(path.relative_to(run.folder)) for path in run.folder.rglob("*"))
        check(left == ["stderr", "stdout"], f"{run.name}: it wrote {left}")
        beyond = [pair for pair in run.operations() if pair[0] not in ("accessanalyzer", "sts")]
        check(not beyond, f"{run.name}: it called {beyond}")
        self.calls += run.calls
        return run

    def see(self, wanted, *args, code=0):
        """A run whose rows are those; what is wrong is kept, so that one run does not hide the next."""
        try:
            run = self.run(*args, code=code)
            self.rows(run, wanted)
            return run.calls
        except Failed as failure:
            self.problems.append(f"{' '.join(arg.rsplit('/', 1)[-1] for arg in args)}: {failure}")
            return None

    def rows(self, run, wanted):
        """The rows are those, in any order; the place must hold the parts given."""
        try:
            rows = json.loads(run.out)["rows"]
        except (ValueError, KeyError) as error:
            raise Failed(f"{run.name}: no JSON with rows ({error})\n{run.tail()}") from None
        check(all(set(row) >= {"file", "check", "result", "code", "message", "place"} for row in rows),
              f"{run.name}: members of the rows: {rows[:2]}")

        def key(row):
            return row["file"], row["check"], row["code"] or "", row["result"], row.get("message") or ""

        pairs = sorted(wanted, key=lambda pair: key(pair[0]))
        rows.sort(key=key)
        told, meant = ([key(row)[:4] for row in those] for those in (rows, [want for want, _ in pairs]))
        check(told == meant, f"{run.name}: {told}, not {meant}")
        same([want for want, _ in pairs], [{name: row[name] or "" for name in want} for row, (want, _) in zip(
            rows, pairs)], f"{run.name}: the rows")
        for row, (_, places) in zip(rows, pairs):
            held = row["place"] or ""
            check(all(place in held for place in places) and bool(held) == bool(places),
                  f"{run.name}: place {held!r}, not {places}")


def policy_validate(lab):
    bench = Bench(lab)
    files = {"clean": bench.file("clean", document("s3:GetObject")),
             "many": bench.file("many", document("iam:PassRole")),
             "mild": bench.file("mild", document("ec2:Describe*")),
             "old": bench.file("old", document("s3:GetObjectVersion")),
             "open": bench.file("open", document("s3:PutObject", principal="*"))}
    many = [finding(FOUND[number % 4], number) for number in range(7)]
    mild = [finding("WARNING", 0), finding("SUGGESTION", 1, place=False)]
    bench.world.servers.control("fixtures", {"checks": {
        "ValidatePolicy": [
            {"contains": "PassRole", "given": {"policyType": "IDENTITY_POLICY"}, "answer": {"findings": many}},
            {"contains": "Describe", "answer": {"findings": mild}},
            {"contains": "PutObject", "given": {"policyType": "RESOURCE_POLICY",
                                                "validatePolicyResourceType": "AWS::S3::Bucket"},
             "answer": {"findings": [finding("SECURITY_WARNING", 4)]}},
            {"contains": "GetObjectVersion", "given": {"policyType": "SERVICE_CONTROL_POLICY"},
             "answer": {"findings": [finding("ERROR", 5)]}},
            {"contains": "GetObjectVersion", "given": {"policyType": "RESOURCE_CONTROL_POLICY"},
             "answer": {"findings": [finding("ERROR", 6)]}}],
        "CheckNoNewAccess": [{"contains": "PassRole", "given": {"existingPolicyDocument": open(files["old"]).read()},
                              "answer": failing("new", "Neu: ü", "Neu: 漢字")}],
        "CheckAccessNotGranted": [{"contains": "PassRole", "given": {"access": [{"actions": [
            "iam:PassRole", "s3:DeleteBucket"]}]}, "answer": failing("granted")}],
        "CheckNoPublicAccess": [{"contains": "PutObject", "given": {"resourceType": "AWS::S3::Bucket"},
                                 "answer": failing("public", "open")}]}})
    try:
        for part in (validated, paged, checked, denied):
            part(bench, files, many)
    finally:
        bench.world.servers.control("fixtures", {"checks": {name: [] for name in (
            "ValidatePolicy", "CheckNoNewAccess", "CheckAccessNotGranted", "CheckNoPublicAccess")}})
        bench.world.servers.control("fixtures", {"settings": {"page_size": {}, "empty_pages": False}})
        bench.world.servers.faults()
    check(not bench.problems, "\n".join(bench.problems))
    return f"{bench.count} runs, {len(bench.calls)} calls; rows, exit codes and types hold; nothing written"


def validated(bench, files, many):
    """ValidatePolicy alone: no finding, mild ones, grave ones, several files, and the type that is told to AWS."""
    clean, mild, version = files["clean"], files["mild"], files["old"]
    bench.see([plain(clean, "ValidatePolicy")], clean)
    of_mild = [found_row(mild, "WARNING", 0), found_row(mild, "SUGGESTION", 1, place=False)]
    bench.see(of_mild, mild)
    grave = [found_row(files["many"], one["findingType"], number) for number, one in enumerate(many)]
    bench.see(grave + of_mild + [plain(clean, "ValidatePolicy")], files["many"], mild, clean, code=3)
    for kind, number in (("scp", 5), ("rcp", 6)):
        bench.see([found_row(version, "ERROR", number)], version, "--type", kind, code=3)
    bench.see([plain(version, "ValidatePolicy")], version, "--type", "identity")
    bench.see([found_row(files["open"], "SECURITY_WARNING", 4)], files["open"], "--type", "resource",
              "--resource-type", "AWS::S3::Bucket", code=3)


def paged(bench, files, many):
    bench.world.servers.control("fixtures", {"settings": {"page_size": {"*": 3}, "empty_pages": True}})
    calls = bench.see([found_row(files["many"], one["findingType"], number) for number, one in enumerate(many)],
                      files["many"], code=3)
    bench.world.servers.control("fixtures", {"settings": {"page_size": {}, "empty_pages": False}})
    asked = [call["operation"] for call in calls or ()].count("ValidatePolicy")
    if calls and asked != 4:
        bench.problems.append(f"{asked} pages of ValidatePolicy, not an empty one and three")


def checked(bench, files, many):
    """The three further checks, passed and failed; each is asked where its flag is given and nowhere else."""
    old, clean, risky, open_to_all = (files[name] for name in ("old", "clean", "many", "open"))
    deny = ("--deny-action", "iam:PassRole", "--deny-action", "s3:DeleteBucket")
    names = ("ValidatePolicy", "CheckNoNewAccess", "CheckAccessNotGranted")
    calls = bench.see([plain(clean, name) for name in names], clean, "--existing", old, *deny)
    asked = sorted(call["operation"] for call in calls or () if call["service"] == "accessanalyzer")
    if calls and asked != sorted(names):
        bench.problems.append(f"with --existing and --deny-action it asked {asked}")
    grave = [found_row(risky, one["findingType"], number) for number, one in enumerate(many)]
    bench.see(grave + [plain(risky, "CheckNoNewAccess", "FAIL", "Neu: ü", "0"),
                       plain(risky, "CheckNoNewAccess", "FAIL", "Neu: 漢字", "1"),
                       plain(risky, "CheckAccessNotGranted", "FAIL", "granted")],
              risky, "--existing", old, *deny, code=3)
    # One of the actions alone: the fixture has an answer for both together only.
    bench.see(grave + [plain(risky, "CheckAccessNotGranted")], risky, "--deny-action", "iam:PassRole", code=3)
    public = (open_to_all, "--type", "resource", "--not-public", "--resource-type")
    bench.see([found_row(open_to_all, "SECURITY_WARNING", 4),
               plain(open_to_all, "CheckNoPublicAccess", "FAIL", "open", "0")], *public, "AWS::S3::Bucket", code=3)
    # A type that CheckNoPublicAccess knows and ValidatePolicy does not: there it must be left out. Source: Access
    # Analyzer API reference, "ValidatePolicy", validatePolicyResourceType.
    bench.see([plain(open_to_all, "ValidatePolicy"), plain(open_to_all, "CheckNoPublicAccess")], *public,
              "AWS::KMS::Key")


def denied(bench, files, many):
    """One of the four denied: the others' rows are there."""
    clean, flags = files["clean"], {
        "ValidatePolicy": ("--deny-action", "iam:PassRole"), "CheckNoNewAccess": ("--existing", files["old"]),
        "CheckAccessNotGranted": ("--deny-action", "iam:PassRole"),
        "CheckNoPublicAccess": ("--type", "resource", "--not-public", "--resource-type", "AWS::S3::Bucket")}
    for operation, more in flags.items():
        bench.world.servers.faults({"kind": "access_denied", "service": "accessanalyzer", "operation": operation})
        try:
            left = "CheckAccessNotGranted" if operation == "ValidatePolicy" else "ValidatePolicy"
            run = bench.run(clean, *more, code=4)
            bench.rows(run, [plain(clean, left)])
            check(f"access-analyzer:{operation}" in run.said(), f"{run.name}: no message names it\n{run.tail()}")
        except Failed as failure:
            bench.problems.append(f"{operation} denied: {failure}")
        finally:
            bench.world.servers.faults()
