"""States of IAM as plain data: read alike from the emulator and from the demo's documents, compared, and changed as a
plan says, by the test itself and not as jitscan does it.
"""

import copy
import json
import re
from urllib.parse import unquote

from remediate_center import INLINE, role_of

# What the emulator counts or makes up by itself, or gives to what is new.
OWN = {"AttachmentCount", "PermissionsBoundaryUsageCount", "UpdateDate", "CreateDate", "RoleId", "PolicyId",
       "PermissionSetArn", "CreatedDate"}


def zulu(time):
    return time.replace("+00:00", "Z")


def plain(value):
    if isinstance(value, dict):
        return {key: unquote(item) if key.endswith("Document") else plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted((plain(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    return value if isinstance(value, (str, int, bool, type(None))) else zulu(value.isoformat())


def differences(a, b, at=""):
    """Where two JSON values differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        out = []
        for key in sorted(a.keys() | b.keys()):
            if key not in a or key not in b:
                out.append(f"{at}/{key}: only in the {'second' if key in b else 'first'}")
            else:
                out += differences(a[key], b[key], f"{at}/{key}")
        return out
    if a == b:
        return []
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return [one for index, pair in enumerate(zip(a, b)) for one in differences(*pair, f"{at}[{index}]")]
    return [f"{at}: {json.dumps(a)[:300]} is not {json.dumps(b)[:300]}"]


def without(value, names):
    if isinstance(value, dict):
        return {key: without(item, names) for key, item in value.items() if key not in names}
    return [without(item, names) for item in value] if isinstance(value, list) else value


def nameless(text):
    """Without what a recommendation's id, which depends on unique ids, and a document's hash put into names."""
    return re.sub(r"(/jitscan/[^\s\"]*?|^jit-[^\s/]*?)-[0-9a-f]{8}(?![0-9a-f])", r"\1", text)


def said(plan):
    """What a plan says, without ids, hashes and the way its documents are written."""
    def form(value):
        if isinstance(value, dict):
            return {key: ordered(form(item)) if key == "reasons" else form(item) for key, item in value.items()
                    if key not in ("id", "ids", "state")}
        if isinstance(value, list):
            return [form(item) for item in value]
        if isinstance(value, str) and value.lstrip().startswith("{"):
            return json.loads(value)
        return nameless(value) if isinstance(value, str) else value
    ordered = lambda ones: sorted(ones, key=lambda one: json.dumps(one, sort_keys=True))  # by what they say, not by ids
    return {"grants": ordered(form(plan["grants"])), "changes": form(plan["changes"]), "left": form(plan["left"])}


def plain_of_demo(one, ids):
    """An entry of the demo's documents as `plain` makes one of the emulator's, with the emulator's ids."""
    text = json.dumps(one)
    for old, new in ids.items():
        text = text.replace(old, new)
    one = json.loads(text, object_hook=lambda found: {
        key: item.replace("+00:00", "Z") if isinstance(item, str) and key.endswith(("Date",)) else item
        for key, item in found.items()})
    if not (one.get("RoleLastUsed") or {}).get("LastUsedDate"):
        one.pop("RoleLastUsed", None)
    return sorted_lists(one)


def sets_of_demo(center):
    """The permission sets of the demo's identity-center.json as World.permission_sets reads them."""
    out = {}
    for one in center["PermissionSets"]:
        arn = one["PermissionSetArn"]
        assigned = [found for found in center["AccountAssignments"] if found["PermissionSetArn"] == arn]
        out[one["Name"]] = {
            **{key: one[key] for key in ("PermissionSetArn", "Name", "Description", "SessionDuration") if key in one},
            "InlinePolicy": one.get("InlinePolicy") or "", "PermissionsBoundary": one.get("PermissionsBoundary"),
            "ManagedPolicies": sorted(policy["Arn"] for policy in one.get("ManagedPolicies") or ()),
            "CustomerPolicies": sorted(policy.get("Path", "/") + policy["Name"]
                                       for policy in one.get("CustomerManagedPolicyReferences") or ()),
            "Tags": {}, "Outdated": [], "Assignments": {
                account: sorted(f"{found['PrincipalType']} {found['PrincipalId']}" for found in assigned
                                if found["AccountId"] == account)
                for account in sorted({found["AccountId"] for found in assigned})}}
    return out


def sorted_lists(value):
    if isinstance(value, dict):
        return {key: item if key.endswith("Document") else sorted_lists(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted((sorted_lists(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    return value


def documents_read(value, read):
    if isinstance(value, dict):
        return {key: read(item) if key.endswith("Document") else documents_read(item, read)
                for key, item in value.items()}
    return [documents_read(item, read) for item in value] if isinstance(value, list) else value


# ---------------------------------------------------------------- what a plan does, done by the test itself

def step_on(account, effect):
    """One call of a plan on an account's state, as IAM's API describes it and not as jitscan does it."""
    call = effect["call"]
    kind = "user" if "user" in effect and "User" in call else "role"
    if call in ("CreateRole", "DeleteRole"):
        roles, arn = account["RoleDetailList"], effect["role"]
        if call == "DeleteRole":
            del roles[arn]
            return
        assert arn not in roles, arn
        path, name = re.fullmatch(r"arn:aws:iam::\d{12}:role(/(?:.*/)?)([^/]+)", arn).groups()
        roles[arn] = {
            "Arn": arn, "Path": path, "RoleName": name, "AssumeRolePolicyDocument": effect["trust"],
            "InstanceProfileList": [], "RolePolicyList": [], "AttachedManagedPolicies": [],
            "Tags": [{"Key": key, "Value": value} for key, value in sorted(effect["tags"].items())],
            "MaxSessionDuration": effect["max_session_seconds"]}
        if effect.get("boundary"):
            roles[arn]["PermissionsBoundary"] = {"PermissionsBoundaryType": "Policy",
                                                 "PermissionsBoundaryArn": effect["boundary"]}
        return
    if call in ("CreatePolicy", "DeletePolicy"):
        arn = effect["policy"]
        if call == "DeletePolicy":
            del account["Policies"][arn]
            return
        assert arn not in account["Policies"], arn
        path, name = re.fullmatch(r"arn:aws:iam::\d{12}:policy(/(?:.*/)?)([^/]+)", arn).groups()
        account["Policies"][arn] = {
            "Arn": arn, "Path": path, "PolicyName": name, "DefaultVersionId": "v1", "IsAttachable": True,
            "PolicyVersionList": [{"Document": effect["document"], "VersionId": "v1", "IsDefaultVersion": True}]}
        return
    holders = account["UserDetailList" if kind == "user" else "RoleDetailList"].values()
    holder = next(one for one in holders if one[f"{kind.title()}Name"] == effect[kind])
    if call == "UpdateAssumeRolePolicy":
        holder["AssumeRolePolicyDocument"] = effect["document"]
    elif "Group" in call:
        groups = holder["GroupList"]
        (groups.append if call.startswith("Add") else groups.remove)(effect["group"])
        groups.sort()
    elif call.startswith(("Attach", "Detach")):
        attached = holder["AttachedManagedPolicies"]
        one = {"PolicyName": effect["policy"].rsplit("/", 1)[-1], "PolicyArn": effect["policy"]}
        (attached.append if call.startswith("Attach") else attached.remove)(one)
    else:
        inline = holder[f"{kind.title()}PolicyList"]
        inline[:] = [one for one in inline if one["PolicyName"] != effect["policy"]]
        if call.startswith("Put"):
            inline.append({"PolicyName": effect["policy"], "PolicyDocument": effect["document"]})


def set_step_on(state, sets, effect):
    """One call of a plan on a permission set, and on its roles once it is provisioned."""
    call, name = effect["call"], effect["set"]
    if call == "CreatePermissionSet":
        assert name not in sets, name
        described = {"Description": effect["description"]} if effect.get("description") else {}
        sets[name] = {"PermissionSetArn": name, "Name": name, **described, "SessionDuration": effect["session"],
                      "InlinePolicy": "", "PermissionsBoundary": None, "ManagedPolicies": [], "CustomerPolicies": [],
                      "Tags": effect.get("tags") or {}, "Outdated": [], "Assignments": {}}
        return
    one = next(one for one in sets.values() if name in (one["PermissionSetArn"], one["Name"]))
    if call == "DeletePermissionSet":
        del sets[one["Name"]]
    elif call == "ProvisionPermissionSet":
        one["Outdated"] = []
        for account in one["Assignments"]:
            roles = state[account]["RoleDetailList"].values()
            provision(next(role for role in roles if role_of(one["Name"], role["RoleName"])), one, account)
    else:
        policies = one["ManagedPolicies" if "AttachManaged" in call or "DetachManaged" in call else "CustomerPolicies"]
        if call.startswith(("Attach", "Detach")):
            policy = effect["policy"] if "policy" in effect else effect
            policy = policy if isinstance(policy, str) else policy.get("path", "/") + policy["name"]
            (policies.append if call.startswith("Attach") else policies.remove)(policy)
            policies.sort()
        elif "InlinePolicy" in call:
            one["InlinePolicy"] = effect["document"] if call.startswith("Put") else ""
        else:
            one["PermissionsBoundary"] = boundary_of(effect["boundary"]) if call.startswith("Put") else None
        one["Outdated"] = sorted(one["Assignments"])


def boundary_of(told):
    """A plan's boundary of a permission set as the API has it."""
    if "managed" in told:
        return {"ManagedPolicyArn": told["managed"]}
    return {"CustomerManagedPolicyReference": {"Name": told["customer"]["name"], "Path": told["customer"]["path"]}}


def provision(role, one, account):
    """A role of Identity Center as it is once its permission set is provisioned."""
    own = lambda policy: f"arn:aws:iam::{account}:policy{policy}"
    inline = {"PolicyName": INLINE, "PolicyDocument": one["InlinePolicy"]}
    role["RolePolicyList"] = [inline] if one["InlinePolicy"] else []
    role["AttachedManagedPolicies"] = [{"PolicyName": arn.rsplit("/", 1)[-1], "PolicyArn": arn} for arn in (
        *one["ManagedPolicies"], *map(own, one["CustomerPolicies"]))]
    role.pop("PermissionsBoundary", None)
    if one["PermissionsBoundary"]:
        theirs = one["PermissionsBoundary"].get("CustomerManagedPolicyReference")
        arn = own(theirs["Path"] + theirs["Name"]) if theirs else one["PermissionsBoundary"]["ManagedPolicyArn"]
        role["PermissionsBoundary"] = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn}


def holders(state, part):
    """The users and roles whose calls a part of a plan bears on, with their unique ids: of a permission set its roles.
    A grant of one takes the place of what a change takes from it."""
    if ":permissionSet/" not in part["principal"]:
        return {part["principal"]: part["id"]}
    return {arn: state[arn.split(":")[4]]["RoleDetailList"][arn]["RoleId"] for arn in part.get("roles", ())}


def planned(state, plan):
    """The state after a plan. Of AWS's policies an account lists those that somebody there has."""
    out = copy.deepcopy(state)
    for part in (*plan["grants"], *plan["changes"]):
        for step in part["steps"]:
            if "set" in step["do"]:
                set_step_on(out, out[part["account"]]["PermissionSets"], step["do"])
            else:
                step_on(out[part["account"]], step["do"])
    theirs = {arn: one for account in state.values() for arn, one in account["Policies"].items()
              if ":aws:policy/" in arn}
    for account in out.values():
        attached = {policy["PolicyArn"] for member in ("UserDetailList", "RoleDetailList", "GroupDetailList")
                    for one in account[member].values() for policy in one["AttachedManagedPolicies"]}
        account["Policies"] = {arn: one for arn, one in {**theirs, **account["Policies"]}.items()
                               if ":aws:policy/" not in arn or arn in attached}
    return {account: {member: {arn: sorted_lists(one) for arn, one in ones.items()} for member, ones in members.items()}
            for account, members in out.items()}


def comparable(state):
    """A state without what the emulator makes up for what is new."""
    return without(state, OWN)
