"""What the role that changes access may do with the policy that `jitscan permissions --for remediate` prints."""

from botocore.exceptions import ClientError

from remediate_calls import Wire
from remediate_round import check
from remediate_world import EXECUTOR, REGION, policy_of

DOCUMENT = str(policy_of()).replace("'", '"')
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
ACCOUNT = "710293847561"
WEB_APP = f"arn:aws:iam::{ACCOUNT}:policy/web-app"
# Operation, parameters, whether it may.
CALLS = [
    ("GetAccountAuthorizationDetails", {}, True),
    ("GetRole", {"RoleName": "web-app-ec2"}, True),
    ("PutRolePolicy", {"RoleName": "web-app-ec2", "PolicyName": "p", "PolicyDocument": DOCUMENT}, True),
    ("DeleteUserPolicy", {"UserName": "legacy-backup", "PolicyName": "backup"}, True),
    ("AttachRolePolicy", {"RoleName": "web-app-ec2", "PolicyArn": ADMINISTRATOR}, True),
    ("PutRolePolicy", {"RoleName": "break-glass", "PolicyName": "p", "PolicyDocument": DOCUMENT}, False),
    ("DetachRolePolicy", {"RoleName": "break-glass", "PolicyArn": ADMINISTRATOR}, False),
    ("RemoveUserFromGroup", {"UserName": "r.patel-cli", "GroupName": "extra-team"}, True),
    ("RemoveUserFromGroup", {"UserName": "r.patel-cli", "GroupName": "legacy-cli"}, False),
    ("CreateRole", {"RoleName": "new", "Path": "/jitscan/", "AssumeRolePolicyDocument": DOCUMENT}, True),
    ("CreateRole", {"RoleName": "new", "AssumeRolePolicyDocument": DOCUMENT}, False),
    ("CreateRole", {"RoleName": "new", "Path": "/other/", "AssumeRolePolicyDocument": DOCUMENT}, False),
    ("DeleteRole", {"RoleName": "web-app-ec2"}, False),
    ("CreatePolicy", {"PolicyName": "new", "Path": "/jitscan/", "PolicyDocument": DOCUMENT}, True),
    ("CreatePolicy", {"PolicyName": "new", "PolicyDocument": DOCUMENT}, False),
    ("DeletePolicy", {"PolicyArn": WEB_APP}, False),
    ("CreatePolicyVersion", {"PolicyArn": WEB_APP, "PolicyDocument": DOCUMENT}, False),
    ("UpdateAssumeRolePolicy", {"RoleName": "web-app-ec2", "PolicyDocument": DOCUMENT}, False),
    ("UpdateAssumeRolePolicy", {"RoleName": "gha-pipeline", "PolicyDocument": DOCUMENT}, True),
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
    enter = lambda name: {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/{name}", "RoleSessionName": "session"}
    creds = world.client("sts", world.runner).assume_role(**enter(EXECUTOR))["Credentials"]
    told = [("iam", *one) for one in CALLS]
    told += [("sts", "AssumeRole", enter(name), may) for name, may in ROLES]
    for service, operation, params, may in told:
        allowed, code, _ = wire.make(creds, service, REGION, operation, params, False)
        if allowed != may:
            shown = {key: value for key, value in params.items() if "Document" not in key}
            problems.append(f"{operation} {shown}: {'allowed' if allowed else f'denied ({code})'}")
    try:
        world.client("sts", world.nobody).assume_role(**enter(EXECUTOR))
        problems.append("anybody becomes the executor")
    except ClientError:
        pass
    return check(problems, f"{sum(may for *_, may in told)} calls allowed, {sum(not may for *_, may in told)} refused")
