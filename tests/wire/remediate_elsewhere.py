"""What programs are confined to: the calls that they made, made on other resources than theirs."""

# Which parameter names the resource, and another one that there is none like in what is planned.
OTHERS = {
    "PutRolePolicy": ("RoleName", "web-app-ec2"), "UpdateStack": ("StackName", "another"),
    "GetSecretValue": ("SecretId", "prod/orders/another-Zz9Zz9"),
    "Decrypt": ("KeyId", "arn:aws:kms:us-east-1:{account}:key/00000000-0000-4000-8000-000000000000"),
    "AssumeRole": ("RoleArn", "arn:aws:iam::{account}:role/another"),
}


def confined(plan):
    """{principal: actions} that a plan confines to resources."""
    return {change["principal"]: {action.strip().lower() for line in reason["why"] for action in line.split(": ")[0].split(",")}
            for change in plan["changes"] for reason in change["reasons"] if reason["advice"] == "confine"}


def elsewhere(plan, decided):
    """[(principal, action, request)] on other resources, of calls that were made and are decided."""
    out, to = {}, confined(plan)
    for call, action, request in decided:
        service, region, operation, params, _ = request
        if action.lower() in to.get(call.principal, ()) and operation in OTHERS:
            name, other = OTHERS[operation]
            params = {**params, name: other.format(account=call.principal.split(":")[4])}
            out[call.principal, action] = (service, region, operation, params, False)
    return [(principal, action, request) for (principal, action), request in sorted(out.items())]
