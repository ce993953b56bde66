"""ministack, put right where its answers would be worthless for remediate.py, and nowhere else.

`correct()` runs in the server's own process before it serves:

  AWS's own policies   have the demo's documents; four of them ministack does not know at all
  creation dates       are the demo's: the clock of the emulator is now, and what a plan removes depends on them
  GAAD                 has what AWS gives and ministack leaves out: boundaries, AWS's own policies, dates, last use
  sts:SourceIdentity   is a condition key, needs sts:SetSourceIdentity in the trust, has 2 to 64 of the characters that
                       AWS takes (STS API Reference, AssumeRole), and stays through all roles that a session enters: it
                       cannot be changed (IAM User Guide, Monitor and control actions taken with assumed roles)
  MFA                  is present where a user assumes a role with SerialNumber and TokenCode, whatever code it is
  trust that names     the caller needs no identity policy in the same account (KNOWN, trust-direct)
  aws:PrincipalArn     of a role's session is the role's ARN, with its path (KNOWN, principal-arn)
  paths                stand in the ARNs of users, roles and policies that iam calls name (KNOWN, iam-path); of a
                       membership the group is the resource, not the user (Service Authorization Reference, iam)
  sso                  is IAM Identity Center, which ministack does not have: remediate_center.py
  DRY                  a request with this header ends where the service would begin: after the decision, without effect
"""

import contextlib
import contextvars
import dataclasses
import json
import re
from pathlib import Path
from urllib.parse import parse_qs, quote
from xml.sax.saxutils import escape

import remediate_center
import wire

HERE = Path(__file__).resolve().parent
ROOT_SECRET = "root-secret-of-the-emulator"
DRY = "x-dry-run"


def correct(path):
    """Called in ministack's process before it serves; `path` is the file that Emulator wrote."""
    from ministack import app
    from ministack.core import iam_actions
    from ministack.core import iam_evaluator as evaluator
    from ministack.services import iam
    told = json.loads(Path(path).read_text())
    for arn, text in told["managed"].items():
        name = arn.removeprefix("arn:aws:iam::aws:policy/")
        iam._aws_managed_policies[arn] = iam._make_aws_managed_record(name, text)
        for one in (iam._aws_managed_policies[arn], iam._aws_managed_policies[arn]["Versions"]["v1"]):
            one["CreateDate"] = told["dates"][arn]
    for kind in ("User", "Role", "Group", "InstanceProfile", "Policy", "PolicyVersion"):
        call = f"Create{kind}"
        iam._IAM_HANDLERS[call] = dated(iam, iam._IAM_HANDLERS[call], call, told["dates"])
    whole = iam._IAM_HANDLERS["GetAccountAuthorizationDetails"]
    iam._IAM_HANDLERS["GetAccountAuthorizationDetails"] = lambda p: completed(iam, whole(p), p, told["last_used"])

    asked, judge = contextvars.ContextVar("asked", default={}), evaluator.evaluate_trust_policy

    def trusts(document, caller, context=None):
        if context is None:
            return judge(document, caller)
        context.service_context.update(asked.get())
        if not judge(document, caller, context):
            return False
        if "sts:sourceidentity" not in asked.get() or context.action != "sts:AssumeRole":
            return True
        return judge(document, caller, dataclasses.replace(context, action="sts:SetSourceIdentity"))
    evaluator.evaluate_trust_policy = trusts

    resolve = evaluator._resolve_condition_key

    def resolved(key, context):
        value = resolve(key, context)
        if key.lower() != "aws:principalarn" or ":assumed-role/" not in value:
            return value
        role = iam._roles.get_scoped(context.principal_account, None, evaluator._role_name_from_assumed_arn(value))
        return role["Arn"] if role else value
    evaluator._resolve_condition_key = resolved

    enforce = evaluator.enforce

    def enforced(key, action, service, region, resource_arn="*", service_context=None):
        result = enforce(key, action, service, region, resource_arn, service_context)
        if action == "sts:AssumeRole" and getattr(result, "decision", "") == "ImplicitDeny":
            account, name = resource_arn.split(":")[4], resource_arn.rsplit("/", 1)[-1]
            role = iam._roles.get_scoped(account, None, name) or {}
            with contextlib.suppress(ValueError):
                statements = json.loads(role.get("AssumeRolePolicyDocument") or "{}").get("Statement", [])
                named = [evaluator._names_caller(one.get("Principal"), result.principal_arn) for one in statements]
                # The handler evaluates the trust itself; here only whether it alone may decide.
                if named and all(named) and f":{account}:" in result.principal_arn:
                    return None
        return result
    evaluator.enforce = enforced

    resource_of = iam_actions.extract_resource_arn

    def resource(service, method, path, headers, body, query, region, account):
        arn = resource_of(service, method, path, headers, body, query, region, account)
        return with_path(iam, arn, query, account) if service == "iam" else arn
    iam_actions.extract_resource_arn = resource

    remediate_center.serve(told["center"])
    for service, handler in list(app.SERVICE_HANDLERS.items()):
        app.SERVICE_HANDLERS[service] = stopped(service, handler, asked)


def stopped(service, handler, asked):
    async def serve(method, path, headers, body, query):
        if headers.get(DRY):
            return 501, {}, b""  # every protocol reads an empty answer of that kind
        if service != "sts":
            return await handler(method, path, headers, body, query)
        from ministack.services.sts import _sessions
        given = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        key = re.search(r"Credential=([^/]+)/", headers.get("authorization", ""))
        before = (_sessions.get(key[1] if key else "") or {}).get("SourceIdentity")
        source, keys = given.get("SourceIdentity", before), {}
        if source is not None:
            if not re.fullmatch(r"[\w+=,.@-]{2,64}", source, re.ASCII):
                return refused(400, "ValidationError", f"SourceIdentity {source!r}: 2 to 64 of [\\w+=,.@-]")
            if before not in (None, source):
                why = f"the session's source identity is {before!r}, and cannot be changed"
                return refused(403, "AccessDenied", why)
            keys["sts:sourceidentity"] = source
        if given.get("SerialNumber") and given.get("TokenCode"):
            keys["aws:multifactorauthpresent"] = "true"
        asked.set(keys)
        answer = await handler(method, path, headers, body, query)
        made = re.search(rb"<AccessKeyId>([^<]+)<", answer[2])
        if source is not None and made and made[1].decode() in _sessions:
            _sessions[made[1].decode()]["SourceIdentity"] = source
        return answer
    return serve


def refused(status, code, message):
    error = f"<Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message>"
    text = f"<ErrorResponse><Error>{error}</Error></ErrorResponse>"
    return status, {"Content-Type": "text/xml"}, text.encode()


def with_path(iam, arn, query, account):
    """The ARN with the path: of what is there the one that it has, of what is to be made the one that is asked for."""
    if iam._p(query, "Action") in ("AddUserToGroup", "RemoveUserFromGroup"):
        arn = f"arn:aws:iam::{account}:group/{iam._p(query, 'GroupName')}"
    for kind, records in (("role", iam._roles), ("user", iam._users), ("group", iam._groups)):
        if f":{kind}/" in arn:
            name = arn.rsplit("/", 1)[-1]
            found = records.get_scoped(account, None, name)
            path = iam._p(query, "Path") or "/"
            return found["Arn"] if found else f"arn:aws:iam::{account}:{kind}{path}{name}"
    if arn == "*" and iam._p(query, "PolicyName"):
        return f"arn:aws:iam::{account}:policy{iam._p(query, 'Path') or '/'}{iam._p(query, 'PolicyName')}"
    return arn


def dated(iam, handler, call, dates):
    kind = call.removeprefix("Create").lower()

    def create(p):
        answer = handler(p)
        if answer[0] >= 300:
            return answer
        if kind in ("policy", "policyversion"):
            arn = iam._p(p, "PolicyArn") or re.search(rb"<Arn>([^<]*)</Arn>", answer[2])[1].decode()
            record = iam._policies[arn]
            if arn in dates:
                record["CreateDate"] = dates[arn]
                newest = record["Versions"][sorted(record["Versions"], key=lambda one: int(one[1:]))[-1]]
                newest["CreateDate"] = record["UpdateDate"] = dates.get(f"{arn}:{newest['VersionId']}", dates[arn])
            return answer
        records, name = {"user": (iam._users, "UserName"), "role": (iam._roles, "RoleName"),
                         "group": (iam._groups, "GroupName"),
                         "instanceprofile": (iam._instance_profiles, "InstanceProfileName")}[kind]
        record = records[iam._p(p, name)]
        record["CreateDate"] = dates.get(record["Arn"], record["CreateDate"])
        return answer
    return create


def completed(iam, answer, p, last_used):
    """GetAccountAuthorizationDetails with what AWS gives as well."""
    text = answer[2].decode()
    for kind, records in (("UserId", iam._users), ("RoleId", iam._roles)):
        for record in records.values():
            more = ""
            if record.get("PermissionsBoundary"):
                more = ("<PermissionsBoundary><PermissionsBoundaryType>Policy</PermissionsBoundaryType>"
                        f"<PermissionsBoundaryArn>{record['PermissionsBoundary']}</PermissionsBoundaryArn>"
                        "</PermissionsBoundary>")
            for used in [last_used[record["Arn"]]] if record["Arn"] in last_used else []:
                more += (f"<RoleLastUsed><LastUsedDate>{used['LastUsedDate']}</LastUsedDate>"
                         f"<Region>{used['Region']}</Region></RoleLastUsed>")
            own = f"<{kind}>{record[kind]}</{kind}>"
            text = text.replace(own, own + more, 1)
    wanted = {value[0] for name, value in p.items() if name.startswith("Filter.member.")}
    shown = {}
    if not wanted or "LocalManagedPolicy" in wanted:
        shown.update(iam._policies.items())
    if not wanted or "AWSManagedPolicy" in wanted:
        holders = (*iam._users.values(), *iam._roles.values(), *iam._groups.values())
        attached = {arn for holder in holders for arn in holder.get("AttachedPolicies", ())}
        shown.update({arn: one for arn, one in iam._aws_managed_policies.items() if arn in attached})
    usage, made = iam._boundary_usage_counts(), ""
    for arn, one in sorted(shown.items()):
        versions = "".join(
            f"<member><Document>{quote(version['Document'], safe='')}</Document><VersionId>{version['VersionId']}"
            f"</VersionId><IsDefaultVersion>{str(bool(version.get('IsDefaultVersion'))).lower()}</IsDefaultVersion>"
            f"<CreateDate>{version['CreateDate']}</CreateDate></member>" for version in one["Versions"].values())
        count = iam._aws_managed_attachment_counts.get(arn, 0) if ":aws:policy/" in arn else one["AttachmentCount"]
        made += (f"<member><PolicyName>{one['PolicyName']}</PolicyName><PolicyId>{one['PolicyId']}</PolicyId>"
                 f"<Arn>{arn}</Arn><Path>{one['Path']}</Path><DefaultVersionId>{one['DefaultVersionId']}"
                 f"</DefaultVersionId><AttachmentCount>{count}</AttachmentCount><PermissionsBoundaryUsageCount>"
                 f"{usage.get(arn, 0)}</PermissionsBoundaryUsageCount><IsAttachable>true</IsAttachable><CreateDate>"
                 f"{one['CreateDate']}</CreateDate><UpdateDate>{one['UpdateDate']}</UpdateDate><PolicyVersionList>"
                 f"{versions}</PolicyVersionList></member>")
    text = re.sub(r"<Policies>.*</Policies>", lambda _: f"<Policies>{made}</Policies>", text, flags=re.S)
    return answer[0], answer[1], text.encode()


class Emulator(wire.Server):
    """ministack with `correct`: python imports sitecustomize before anything else."""

    def __init__(self, account, told):
        super().__init__(account, "root-test", ROOT_SECRET)
        folder = self.dir / "python"
        folder.mkdir()
        (folder / "told.json").write_text(json.dumps(told))
        (folder / "sitecustomize.py").write_text(
            f"import sys\nif 'ministack' in sys.orig_argv:\n    sys.path.append({str(HERE)!r})\n"
            f"    import remediate_emulator\n    remediate_emulator.correct({str(folder / 'told.json')!r})\n")
        self.env_extra.update(PYTHONPATH=str(folder), PYTHONDONTWRITEBYTECODE="1")
