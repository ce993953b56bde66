"""What the role that changes access may do with the policy that `jitscan permissions --for remediate` prints."""

from botocore.exceptions import ClientError

from remediate_calls import Wire
from remediate_round import check
from remediate_world import EXECUTOR, REGION, policy_of

DOCUMENT = str(policy_of()).replace("'", '"')
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
# Operation, parameters, whether it may.
CALLS = [
    ("GetAccountAuthorizationDetails", {}, True),
    ("GetRole", {"RoleName": "web-app-ec2"}, True),
    ("PutRolePolicy", {"RoleName": "web-app-ec2", "PolicyName": "p", "PolicyDocument": DOCUMENT}, True),
    ("DeleteUserPolicy", {"UserName": "legacy-backup", "PolicyName": "backup"}, True),
    ("AttachRolePolicy", {"RoleName": "web-app-ec2", "PolicyArn": ADMINISTRATOR}, True),
    ("RemoveUserFromGroup", {"UserName": "r.patel-cli", "GroupName": "extra-team"}, True),
    ("RemoveUserFromGroup", {"UserName": "r.patel-cli", "GroupName": "legacy-cli"}, False),
    ("CreateRole", {"RoleName": "new", "Path": "/jitscan/", "AssumeRolePolicyDocument": DOCUMENT}, True),
    ("CreateRole", {"RoleName": "new", "AssumeRolePolicyDocument": DOCUMENT}, False),
    ("CreateRole", {"RoleName": "new", "Path": "/other/", "AssumeRolePolicyDocument": DOCUMENT}, False),
    ("DeleteRole", {"RoleName": "web-app-ec2"}, False),
    ("CreatePolicy", {"PolicyName": "new", "Path": "/jitscan/", "PolicyDocument": DOCUMENT}, True),
    ("CreatePolicy", {"PolicyName": "new", "PolicyDocument": DOCUMENT}, False),
    ("DeletePolicy", {"PolicyArn": "arn:aws:iam::710293847561:policy/web-app"}, False),
    ("CreatePolicyVersion", {"PolicyArn": "arn:aws:iam::710293847561:policy/web-app", "PolicyDocument": DOCUMENT}, False),
    ("UpdateAssumeRolePolicy", {"RoleName": "web-app-ec2", "PolicyDocument": DOCUMENT}, False),
    ("DeleteRolePermissionsBoundary", {"RoleName": "data-export-batch"}, False),
    ("CreateUser", {"UserName": "new"}, False),
    ("CreateAccessKey", {"UserName": "legacy-backup"}, False),
    ("PutGroupPolicy", {"GroupName": "legacy-cli", "PolicyName": "p", "PolicyDocument": DOCUMENT}, False),
    # Never itself.
    ("PutRolePolicy", {"RoleName": EXECUTOR, "PolicyName": "p", "PolicyDocument": DOCUMENT}, False),
    ("DeleteRolePolicy", {"RoleName": EXECUTOR, "PolicyName": "remediate"}, False),
    ("AttachRolePolicy", {"RoleName": EXECUTOR, "PolicyArn": ADMINISTRATOR}, False),
]
ROLES = [("jitscan/jit-x", False), ("web-app-ec2", False), ("break-glass", False)]


def tried(world):
    wire, problems = Wire(world), []
    account = "710293847561"
    creds = world.client("sts", world.runner).assume_role(
        RoleArn=f"arn:aws:iam::{account}:role/{EXECUTOR}", RoleSessionName="session")["Credentials"]
    told = [("iam", *one) for one in CALLS]
    told += [("sts", "AssumeRole", {"RoleArn": f"arn:aws:iam::{account}:role/{name}", "RoleSessionName": "session"}, may)
             for name, may in ROLES]
    for service, operation, params, may in told:
        allowed, code, _ = wire.make(creds, service, REGION, operation, params, False)
        if allowed != may:
            shown = {key: value for key, value in params.items() if "Document" not in key}
            problems.append(f"{operation} {shown}: {'allowed' if allowed else f'denied ({code})'}")
    try:
        world.client("sts", world.nobody).assume_role(RoleArn=f"arn:aws:iam::{account}:role/{EXECUTOR}",
                                                      RoleSessionName="session")
        problems.append("anybody becomes the executor")
    except ClientError:
        pass
    return check(problems, f"{sum(may for *_, may in told)} calls allowed, {sum(not may for *_, may in told)} refused")
