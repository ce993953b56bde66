"""Enforcement that the emulator must get right before its answers count for anything."""

import json

from account import (FAR, GATE, LONG_AGO, NO, P, ROOT_GATE, YES, allow, iam, statement, trust, trusts)


def gate(wire):
    """Enforcement that AWS is certain about. An emulator that fails here proves nothing; the run stops."""
    checks = []
    root = lambda service, op, **kw: wire.call(ROOT_GATE, service, op, kw)[1]

    def gate_user(name, doc=None):
        root("iam", "create_user", UserName=name)
        if doc:
            root("iam", "put_user_policy", UserName=name, PolicyName="p", PolicyDocument=json.dumps(doc))
        return root("iam", "create_access_key", UserName=name)["AccessKey"]

    def expect(name, wanted, creds, service, op, **kw):
        got = wire.call(creds, service, op, kw)
        checks.append((name, got[0] == wanted))
        return got[1]

    def lists(cond=None, action="iam:ListUsers", effect="Allow"):
        return statement(effect, action, "*", cond, None, {})

    expect("a user without policies is denied", NO, gate_user("none"), "iam", "list_users")
    expect("an Allow allows", YES, gate_user("plain", P(lists())), "iam", "list_users")
    expect("actions ignore case", YES, gate_user("case", P(lists(action="IAM:listusers"))), "iam", "list_users")
    expect("a Deny wins", NO, gate_user("deny", P(lists(), lists(effect="Deny"))), "iam", "list_users")
    expect("an expired Allow is no Allow", NO,
           gate_user("old", P(lists({"DateLessThan": {"aws:CurrentTime": LONG_AGO}}))), "iam", "list_users")
    expect("an Allow that has not expired allows", YES,
           gate_user("new", P(lists({"DateLessThan": {"aws:CurrentTime": FAR}}))), "iam", "list_users")
    expect("a Deny that does not apply does not deny", YES,
           gate_user("later", P(lists(), lists({"DateGreaterThan": {"aws:CurrentTime": FAR}}, effect="Deny"))),
           "iam", "list_users")
    expect("MFA is absent", NO, gate_user("mfa", P(lists({"Bool": {"aws:MultiFactorAuthPresent": "true"}}))),
           "iam", "list_users")
    expect("another address is refused", NO, gate_user("ip", P(lists({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}))),
           "iam", "list_users")
    bounded = gate_user("bounded", P(lists()))
    edge = root("iam", "create_policy", PolicyName="edge", PolicyDocument=json.dumps(P(allow("s3:*"))))["Policy"]["Arn"]
    root("iam", "put_user_permissions_boundary", UserName="bounded", PermissionsBoundary=edge)
    expect("a boundary limits", NO, bounded, "iam", "list_users")
    grouped = gate_user("grouped")
    root("iam", "create_group", GroupName="g")
    root("iam", "put_group_policy", GroupName="g", PolicyName="p", PolicyDocument=json.dumps(P(lists())))
    root("iam", "add_user_to_group", GroupName="g", UserName="grouped")
    expect("a group grants", YES, grouped, "iam", "list_users")
    root("iam", "remove_user_from_group", GroupName="g", UserName="grouped")
    expect("leaving the group revokes", NO, grouped, "iam", "list_users")
    named = gate_user("named", P(allow("iam:GetUser", iam("user", "named", account=GATE))))
    expect("the resource matches", YES, named, "iam", "get_user", UserName="named")
    expect("another resource does not", NO, named, "iam", "get_user", UserName="none")

    assumer = gate_user("assumer", P(allow("sts:AssumeRole")))
    for name, doc in (("trusting", trust(trusts({"AWS": f"arn:aws:iam::{GATE}:root"},
                                                {"StringEquals": {"sts:ExternalId": "e-1"}}))),
                      ("other", trust(trusts({"AWS": iam("user", "none", account=GATE)})))):
        root("iam", "create_role", RoleName=name, AssumeRolePolicyDocument=json.dumps(doc))
        root("iam", "put_role_policy", RoleName=name, PolicyName="p", PolicyDocument=json.dumps(P(allow("iam:List*"))))
    arn = lambda name: iam("role", name, account=GATE)
    expect("a trust that names another user", NO, assumer, "sts", "assume_role", RoleArn=arn("other"),
           RoleSessionName="s1")
    expect("the external id is missing", NO, assumer, "sts", "assume_role", RoleArn=arn("trusting"),
           RoleSessionName="s1")
    session = expect("the external id is right", YES, assumer, "sts", "assume_role", RoleArn=arn("trusting"),
                     RoleSessionName="s1", ExternalId="e-1", Policy=json.dumps(P(allow("iam:ListRoles"))))
    if isinstance(session, dict):
        expect("a session policy lets through", YES, session["Credentials"], "iam", "list_roles")
        expect("a session policy narrows", NO, session["Credentials"], "iam", "list_users")

    plain = gate_user("signed", P(lists()))
    for name, creds, code in (
            ("a wrong secret", {**plain, "SecretAccessKey": "x" * 40}, "SignatureDoesNotMatch"),
            ("an unknown key", {"AccessKeyId": "AKIAQQQQQQQQQQQQQQQQ", "SecretAccessKey": "x" * 40},
             "InvalidClientTokenId")):
        try:
            wire.call(creds, "iam", "list_users", {})
            checks.append((name, False))
        except RuntimeError as error:
            checks.append((name, code in str(error)))
        wire.clients.clear()
    failed = [name for name, good in checks if not good]
    if failed:
        raise RuntimeError("ministack fails the conformance gate: " + "; ".join(failed))
    return len(checks)
