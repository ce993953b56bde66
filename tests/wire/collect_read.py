"""What the servers say, read with boto3 and past the front, and what the builder wrote down, in the forms of
collect_check.py. Nothing of jitscan is used."""

import collect_check as form
from collect_check import canonical, document_of


class Direct:
    """Clients that ask moto and ministack themselves."""

    def __init__(self, servers):
        self.servers, self.raw = servers, {}

    def client(self, service, account, region="us-east-1"):
        if service in ("iam", "sts"):
            return self.servers.client(service, account, region, url=self.servers.ministack.url)
        return self.servers.moto_client(service, account, region)

    def all(self, client, operation, member, **params):
        """All items of a list; by hand where botocore has no paginator."""
        if client.can_paginate(operation):
            pages = client.get_paginator(operation).paginate(**params)
            return [item for page in pages for item in page.get(member) or ()]
        return getattr(client, operation)(**params).get(member) or []

    # -------------------------------------------------------- by kind

    def iam(self, account):
        client = self.client("iam", account)
        found = client.get_account_authorization_details()
        # ministack's GAAD has no boundaries; GetUser and GetRole have.
        for user in found["UserDetailList"]:
            user["PermissionsBoundary"] = client.get_user(UserName=user["UserName"])["User"].get("PermissionsBoundary")
        for role in found["RoleDetailList"]:
            role["PermissionsBoundary"] = client.get_role(RoleName=role["RoleName"])["Role"].get("PermissionsBoundary")
        return form.iam_fields(found)

    def organization(self, account):
        org = self.client("organizations", account)
        units, parents, roots = [], {}, org.list_roots()["Roots"]

        def descend(parent):
            for found in self.all(org, "list_accounts_for_parent", "Accounts", ParentId=parent):
                parents[found["Id"]] = parent
            for unit in self.all(org, "list_organizational_units_for_parent", "OrganizationalUnits", ParentId=parent):
                units.append(dict(unit, ParentId=parent))
                descend(unit["Id"])

        for root in roots:
            descend(root["Id"])
        policies = []
        for kind in ("SERVICE_CONTROL_POLICY", "RESOURCE_CONTROL_POLICY"):
            for summary in self.all(org, "list_policies", "Policies", Filter=kind):
                content = org.describe_policy(PolicyId=summary["Id"])["Policy"]["Content"]
                targets = self.all(org, "list_targets_for_policy", "Targets", PolicyId=summary["Id"])
                policies.append(dict(summary, Content=content, Targets=targets))
        accounts = [dict(found, ParentId=parents.get(found["Id"])) for found in
                    self.all(org, "list_accounts", "Accounts")]
        self.raw["organization"] = {
            "Organization": org.describe_organization()["Organization"], "Roots": roots, "OrganizationalUnits": units,
            "Accounts": accounts, "Policies": policies}
        return form.organization_fields(self.raw["organization"])

    def center(self, world):
        sso, store = (self.client(service, world.management) for service in ("sso-admin", "identitystore"))
        instances, sets, assignments = sso.list_instances()["Instances"], [], []
        for arn in self.all(sso, "list_permission_sets", "PermissionSets", InstanceArn=world.instance):
            where = {"InstanceArn": world.instance, "PermissionSetArn": arn}
            one = sso.describe_permission_set(**where)["PermissionSet"]
            if one.get("SessionDuration") == 3600:  # moto's default; AWS says PT1H, and so does the front
                one["SessionDuration"] = "PT1H"
            one["ManagedPolicies"] = self.all(
                sso, "list_managed_policies_in_permission_set", "AttachedManagedPolicies", **where)
            one["CustomerManagedPolicyReferences"] = self.all(
                sso, "list_customer_managed_policy_references_in_permission_set", "CustomerManagedPolicyReferences",
                **where)
            one["InlinePolicy"] = sso.get_inline_policy_for_permission_set(**where).get("InlinePolicy")
            one["PermissionsBoundary"] = world.center["sets"][arn]["boundary"]  # moto has none; the front serves it
            one["Tags"] = [{"Key": key, "Value": value} for key, value in world.center["sets"][arn]["tags"].items()]
            sets.append(one)
        # moto lists all assignments of an account and a permission set; ask for the pairs that can have any.
        for account, arn in {(account, arn) for account, arn, _, _ in world.center["assignments"]}:
            assignments += self.all(sso, "list_account_assignments", "AccountAssignments",
                                    InstanceArn=world.instance, AccountId=account, PermissionSetArn=arn)
        groups = self.all(store, "list_groups", "Groups", IdentityStoreId=world.store_id)
        memberships = [one for group in groups for one in self.all(
            store, "list_group_memberships", "GroupMemberships", IdentityStoreId=world.store_id,
            GroupId=group["GroupId"])]
        self.raw["identity-center"] = {
            "Instances": instances, "PermissionSets": sets, "AccountAssignments": assignments, "Groups": groups,
            "Users": self.all(store, "list_users", "Users", IdentityStoreId=world.store_id),
            "GroupMemberships": memberships}
        return form.center_fields(self.raw["identity-center"])

    def trails(self, account, regions=("us-east-1", "eu-west-1")):
        answers = []
        for region in regions:
            client = self.client("cloudtrail", account, region)
            found = client.describe_trails()["trailList"]
            answers.append({"trailList": found})
            for trail in found:
                home = self.client("cloudtrail", account, trail["HomeRegion"])
                for call in (home.get_event_selectors(TrailName=trail["TrailARN"]),
                             home.get_trail_status(Name=trail["TrailARN"])):
                    answers.append(dict(call, TrailARN=trail["TrailARN"]))
        return form.trail_fields(answers)

    def credential_report(self, account):
        client = self.client("iam", account)
        client.generate_credential_report()
        return canonical(client.get_credential_report()["Content"].decode())


# ---------------------------------------------------------------- what the builder wrote down

def written_iam(fields, made):
    """(expected, found) over the fields that the builder knows; the servers make up ids, ARNs and times."""
    found = {kind: {name: {key: value for key, value in entry.items() if key in wanted}
                    for name, entry in fields[kind].items()}
             for kind, wanted in (("users", {"Path", "inline", "attached", "groups", "tags", "boundary"}),
                                  ("roles", {"Path", "trust", "inline", "attached", "tags", "boundary", "profiles"}),
                                  ("groups", {"Path", "inline", "attached"}),
                                  ("policies", {"PolicyName", "Path", "DefaultVersionId", "versions"}))}
    found["policies"] = {arn: entry for arn, entry in found["policies"].items() if ":iam::aws:" not in arn}
    return made, found


def written_organization(fields, world):
    units = {key: {"Name": unit["Name"], "ParentId": unit["ParentId"]} for key, unit in fields["units"].items()}
    accounts = {key: {"Name": one["Name"], "ParentId": one["ParentId"]} for key, one in fields["accounts"].items()
                if key != world.management}
    policies = {key: {"Name": one["Name"], "Type": one["Type"], "Content": one["Content"],
                      "Targets": sorted(target for target, _ in one["Targets"])}
                for key, one in fields["policies"].items() if not one["AwsManaged"]}
    return world.organization, {"units": units, "accounts": accounts, "policies": policies}


def written_center(fields, world):
    expected = {"sets": {arn: dict(one, SessionDuration=one["SessionDuration"] or "PT1H", boundary=canonical(
                    one["boundary"]) if one["boundary"] else None) for arn, one in world.center["sets"].items()},
                "assignments": sorted(world.center["assignments"]), "memberships": sorted(world.center["memberships"]),
                "users": world.center["users"], "groups": world.center["groups"]}
    found = {"sets": {arn: {key: value for key, value in one.items() if key != "CreatedDate"}
                      for arn, one in fields["sets"].items()},
             "assignments": fields["assignments"], "memberships": fields["memberships"],
             "users": {key: user["UserName"] for key, user in fields["users"].items()},
             "groups": {key: group["DisplayName"] for key, group in fields["groups"].items()}}
    for one in found["sets"].values():
        one["SessionDuration"] = one["SessionDuration"] or "PT1H"
    return expected, found


__all__ = ["Direct", "written_iam", "written_organization", "written_center", "document_of"]
