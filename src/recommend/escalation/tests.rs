//! For every technique an organisation in which it works, and neighbours in which one thing stops it.

use serde_json::{Value, json};

use super::technique::{By, Gives, On, Step};
use super::*;

const ACCOUNT: &str = "111122223333";
const MANAGEMENT: &str = "999988887777";

/// What is different in a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Twist {
    /// Nothing: it works.
    None,
    /// A Deny on the first action of a step.
    Deny(usize),
    /// A boundary that leaves the first action of a step out.
    Boundary(usize),
    /// A service control policy that denies it.
    ControlPolicy(usize),
    /// A step is allowed on something else only.
    Elsewhere(usize),
    /// A step is allowed under a condition that nobody meets.
    Condition(usize),
    /// A step is allowed under a condition that nothing is known of.
    Unknown(usize),
    /// The role may be passed to another service only.
    Passed,
    /// The victim's trust policy lets nobody in who matters.
    Trust,
    /// The victim is nobody.
    Harmless,
    /// Calls may go to one region only, as most organisations have it.
    Region,
}

fn arn(rest: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:{rest}")
}

fn document(statements: &[Value]) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn allow(actions: &[String], resource: &str) -> Value {
    json!({"Effect": "Allow", "Action": actions, "Resource": resource})
}

fn everything() -> Value {
    document(&[allow(&["*".to_owned()], "*")])
}

fn harmless() -> Value {
    document(&[allow(&["s3:ListAllMyBuckets".to_owned()], "*")])
}

fn needed(step: &Step) -> Vec<String> {
    step.actions.iter().chain(step.any_of.first()).cloned().collect()
}

/// The world in which a technique is tried.
struct World<'t> {
    technique: &'t Technique,
    twist: Twist,
}

impl World<'_> {
    fn is_user(&self) -> bool {
        self.technique.by != Some(By::Role)
    }

    fn attacker(&self) -> String {
        arn(if self.is_user() { "user/mallory" } else { "role/mallory" })
    }

    fn resource(&self, on: On) -> String {
        match on {
            On::Itself => self.attacker(),
            On::OwnPolicy => arn("policy/own"),
            On::OwnBoundary => arn("policy/edge"),
            On::OwnGroup => arn("group/crew"),
            On::TargetUser => arn("user/victim"),
            On::TargetRole => arn("role/victim"),
            On::TargetGroup => arn("group/victims"),
            On::TargetPolicy => arn("policy/victims"),
            On::Any => "*".to_owned(),
        }
    }

    /// The attacker's policy: exactly what the steps need.
    fn policy(&self) -> Value {
        let mut statements = Vec::new();
        for (at, step) in self.technique.steps.iter().enumerate() {
            let elsewhere = self.twist == Twist::Elsewhere(at);
            let resource = if elsewhere { arn("user/somebody-else") } else { self.resource(step.on) };
            let mut statement = allow(&needed(step), &resource);
            if self.twist == Twist::Condition(at) {
                statement["Condition"] = json!({"StringEquals": {"aws:PrincipalAccount": "777766665555"}});
            }
            if self.twist == Twist::Unknown(at) {
                statement["Condition"] = json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}});
            }
            if self.twist == Twist::Passed && !step.context.is_empty() {
                statement["Condition"] = json!({"StringEquals": {"iam:PassedToService": "nobody.amazonaws.com"}});
            }
            statements.push(statement);
            if self.twist == Twist::Deny(at) {
                let first = needed(step).remove(0);
                statements.push(json!({"Effect": "Deny", "Action": first, "Resource": "*"}));
            }
        }
        document(&statements)
    }

    /// The attacker's boundary, where it has one.
    fn boundary(&self) -> Option<Value> {
        let mut actions: Vec<String> = self.technique.steps.iter().flat_map(needed).collect();
        match self.twist {
            Twist::Boundary(at) => {
                let left_out = needed(&self.technique.steps[at]).remove(0);
                actions.retain(|action| *action != left_out);
                actions.push("s3:ListAllMyBuckets".to_owned());
            }
            // What it takes away is what stood in the way.
            _ if self.technique.lifts_boundary() => {}
            _ => return None,
        }
        Some(document(&[allow(&actions, "*")]))
    }

    fn trust(&self) -> Value {
        let enters = self.technique.actions().any(|action| action == "sts:AssumeRole");
        let principal = if self.twist == Twist::Trust {
            json!({"Service": "nobody.amazonaws.com"})
        } else if let Some(service) = self.technique.trusts.first() {
            json!({"Service": service})
        } else if enters {
            // The account: whoever is named by itself needs no permission of its own.
            json!({"AWS": arn("root")})
        } else {
            json!({"Service": "ec2.amazonaws.com"})
        };
        document(&[json!({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})])
    }

    fn snapshot(&self) -> Snapshot {
        let victims = if self.twist == Twist::Harmless { harmless() } else { everything() };
        let managed = |name: &str, document: Value| {
            json!({"PolicyName": name, "PolicyId": format!("ANPA{name}"), "Arn": arn(&format!("policy/{name}")), "Path": "/",
                "DefaultVersionId": "v1", "PolicyVersionList": [{"VersionId": "v1", "IsDefaultVersion": true,
                "CreateDate": "2024-01-01T00:00:00Z", "Document": document}]})
        };
        let attached = |name: &str| json!([{"PolicyName": name, "PolicyArn": arn(&format!("policy/{name}"))}]);
        let mut mallory = json!({"Path": "/", "CreateDate": "2024-01-01T00:00:00Z", "Tags": [],
            "AttachedManagedPolicies": attached("own"), "Arn": self.attacker()});
        let inline = json!([{"PolicyName": "work", "PolicyDocument": self.policy()}]);
        let boundary = self.boundary();
        if boundary.is_some() {
            mallory["PermissionsBoundary"] =
                json!({"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn("policy/edge")});
        }
        let mut users =
            vec![json!({"Path": "/", "UserName": "victim", "UserId": "AIDAVICTIM", "Arn": arn("user/victim"),
            "CreateDate": "2024-01-01T00:00:00Z", "UserPolicyList": [], "GroupList": [], "Tags": [],
            "AttachedManagedPolicies": attached("victims")})];
        let mut roles =
            vec![json!({"Path": "/", "RoleName": "victim", "RoleId": "AROAVICTIM", "Arn": arn("role/victim"),
            "CreateDate": "2024-01-01T00:00:00Z", "AssumeRolePolicyDocument": self.trust(), "RolePolicyList": [],
            "InstanceProfileList": [], "Tags": [], "AttachedManagedPolicies": attached("victims")})];
        if self.is_user() {
            mallory["UserName"] = "mallory".into();
            mallory["UserId"] = "AIDAMALLORY".into();
            mallory["UserPolicyList"] = inline;
            mallory["GroupList"] = json!(["crew"]);
            users.push(mallory);
        } else {
            mallory["RoleName"] = "mallory".into();
            mallory["RoleId"] = "AROAMALLORY".into();
            mallory["RolePolicyList"] = inline;
            mallory["AssumeRolePolicyDocument"] = document(&[
                json!({"Effect": "Allow", "Principal": {"Service": "glue.amazonaws.com"}, "Action": "sts:AssumeRole",
                    "Condition": {"StringEquals": {"aws:SourceAccount": "777766665555"}}}),
            ]);
            roles.push(mallory);
        }
        let group = |name: &str, policies: Value| {
            json!({"Path": "/", "GroupName": name, "GroupId": format!("AGPA{name}"), "Arn": arn(&format!("group/{name}")),
                "CreateDate": "2024-01-01T00:00:00Z", "GroupPolicyList": [], "AttachedManagedPolicies": policies})
        };
        let details = json!({
            "UserDetailList": users, "RoleDetailList": roles,
            "GroupDetailList": [group("crew", json!([])), group("victims", attached("victims"))],
            "Policies": [managed("own", harmless()), managed("edge", boundary.unwrap_or_else(everything)),
                managed("victims", victims)],
        });
        let at = Timestamp::default();
        let mut snapshot = Snapshot::default();
        let read = crate::collect::authorization_details(details.to_string().as_bytes(), "f", at).unwrap();
        assert!(read.defects.is_empty(), "{:?}", read.defects);
        for iam in read.value {
            snapshot.accounts.insert(iam.account, iam);
        }
        let read = crate::collect::organization(self.organization().to_string().as_bytes(), "f", at).unwrap();
        assert!(read.defects.is_empty(), "{:?}", read.defects);
        snapshot.organization = Some(read.value);
        snapshot
    }

    fn organization(&self) -> Value {
        let management = if self.technique.gives == Gives::Organization { ACCOUNT } else { MANAGEMENT };
        let full = json!({"Id": "p-Full", "Name": "FullAWSAccess", "Type": "SERVICE_CONTROL_POLICY", "AwsManaged": true,
            "Content": everything().to_string(), "Targets": [{"TargetId": "r-root", "Type": "ROOT"},
                {"TargetId": ACCOUNT, "Type": "ACCOUNT"}]});
        let mut policies = vec![full];
        if let Twist::ControlPolicy(at) = self.twist {
            let first = needed(&self.technique.steps[at]).remove(0);
            let deny = document(&[json!({"Effect": "Deny", "Action": first, "Resource": "*"})]);
            policies.push(json!({"Id": "p-Deny", "Name": "no", "Type": "SERVICE_CONTROL_POLICY",
                "Content": deny.to_string(), "Targets": [{"TargetId": "r-root", "Type": "ROOT"}]}));
        }
        if self.twist == Twist::Region {
            let global = Catalog::get().services().filter(|service| service.home_region.is_some());
            let mut free: Vec<String> = global.map(|service| format!("{}:*", service.prefix)).collect();
            free.push("sts:*".to_owned());
            let deny = json!({"Effect": "Deny", "NotAction": free, "Resource": "*",
                "Condition": {"StringNotEquals": {"aws:RequestedRegion": ["eu-west-1"]}}});
            policies.push(json!({"Id": "p-Region", "Name": "region", "Type": "SERVICE_CONTROL_POLICY",
                "Content": document(&[deny]).to_string(), "Targets": [{"TargetId": "r-root", "Type": "ROOT"}]}));
        }
        let account = |id: &str| json!({"Id": id, "Name": id, "Status": "ACTIVE", "ParentId": "r-root"});
        json!({"Organization": {"Id": "o-aaaaaaaaaa", "MasterAccountId": management},
            "Roots": [{"Id": "r-root"}], "OrganizationalUnits": [],
            "Accounts": [account(ACCOUNT), account(MANAGEMENT)], "Policies": policies})
    }

    /// The attacker's way, where there is one.
    fn way(&self) -> Option<Path> {
        let at: Timestamp = "2026-11-22".parse().unwrap();
        let techniques = std::slice::from_ref(self.technique);
        let found = escalations(&self.snapshot(), techniques, Catalog::get(), at);
        found.into_iter().find(|path| path.principal == self.attacker())
    }
}

/// The neighbours in which a technique does not work.
fn stopped(technique: &Technique) -> Vec<Twist> {
    let mut out = Vec::new();
    for (at, step) in technique.steps.iter().enumerate() {
        out.extend([Twist::Deny(at), Twist::Boundary(at), Twist::Condition(at)]);
        // Service control policies do not bind the management account.
        if technique.gives != Gives::Organization {
            out.push(Twist::ControlPolicy(at));
        }
        if step.on != On::Any {
            out.push(Twist::Elsewhere(at));
        }
    }
    if technique.steps.iter().any(|step| step.context.contains_key("iam:PassedToService")) {
        out.push(Twist::Passed);
    }
    let enters = technique.actions().any(|action| action == "sts:AssumeRole");
    let of_role = matches!(technique.gives, Gives::TargetRole | Gives::TargetAdminRole);
    if !technique.trusts.is_empty() || (enters && of_role) {
        out.push(Twist::Trust);
    }
    if matches!(technique.gives, Gives::TargetUser | Gives::TargetRole | Gives::TargetGroup) {
        out.push(Twist::Harmless);
    }
    out
}

#[test]
fn every_technique_works_where_it_may_and_one_thing_stops_it() {
    let (mut worked, mut tried) = (0, 0);
    let mut wrong = Vec::new();
    for technique in &known() {
        match (World { technique, twist: Twist::None }).way() {
            Some(path) => {
                worked += 1;
                let hop = &path.hops[0];
                assert_eq!(hop.technique, technique.id);
                assert!(!hop.statements.is_empty(), "{}: no statement behind it", technique.id);
                if hop.sure != technique.holds.is_none() {
                    wrong.push(format!("{}: sure {}: {:?}", technique.id, hop.sure, hop.depends_on));
                }
            }
            None => wrong.push(format!("{}: not found", technique.id)),
        }
        for twist in stopped(technique) {
            tried += 1;
            if let Some(path) = (World { technique, twist }).way() {
                wrong.push(format!("{}: found in spite of {twist:?}: {path:?}", technique.id));
            }
        }
    }
    let shown: Vec<&String> = wrong.iter().take(12).collect();
    assert!(wrong.is_empty(), "{} wrong of {worked} and {tried}: {shown:#?}", wrong.len());
    assert!(worked >= 160 && tried >= 1000, "{worked} {tried}");
}

#[test]
fn who_is_named_by_a_trust_policy_needs_nothing_else() {
    let all = known();
    let technique = all.iter().find(|one| one.id == "sts-assume-role").unwrap();
    let world = World { technique, twist: Twist::Elsewhere(0) };
    assert_eq!(world.way(), None);
    let mut snapshot = world.snapshot();
    let roles = snapshot.accounts.values_mut().flat_map(|iam| &mut iam.roles);
    for role in roles.filter(|role| role.holder.name == "victim") {
        role.trust = role.trust.replace(&arn("root"), &world.attacker());
    }
    let found = escalations(&snapshot, std::slice::from_ref(technique), Catalog::get(), "2026-11-22".parse().unwrap());
    assert_eq!(
        found.iter().map(|path| (path.principal.as_str(), path.sure)).collect::<Vec<_>>(),
        [(world.attacker().as_str(), true)]
    );
}

#[test]
fn what_hangs_on_an_unknown_is_marked() {
    for technique in known().iter().filter(|one| one.holds.is_none()) {
        for at in 0..technique.steps.len() {
            let path = World { technique, twist: Twist::Unknown(at) }.way();
            let path = path.unwrap_or_else(|| panic!("{}: not found", technique.id));
            assert!(!path.sure, "{}", technique.id);
            let said = path.hops[0].depends_on.iter().any(|key| key.eq_ignore_ascii_case("aws:MultiFactorAuthPresent"));
            assert!(said, "{}: {:?}", technique.id, path.hops[0].depends_on);
        }
    }
}

#[test]
fn the_region_is_the_callers_choice() {
    for technique in &known() {
        let path = World { technique, twist: Twist::Region }.way();
        let path = path.unwrap_or_else(|| panic!("{}: not found", technique.id));
        assert_eq!(path.sure, technique.holds.is_none(), "{}: {:?}", technique.id, path.hops[0].depends_on);
    }
}

/// Two administrators that may become each other: whoever becomes one of them is there.
#[test]
fn a_way_ends_at_the_first_administrator() {
    let all = known();
    let technique = all.iter().find(|one| one.id == "sts-assume-role").unwrap();
    let world = World { technique, twist: Twist::None };
    let mut snapshot = world.snapshot();
    for iam in snapshot.accounts.values_mut() {
        let victim = iam.roles.iter().find(|role| role.holder.name == "victim").unwrap().clone();
        let mut other = victim.clone();
        other.holder.arn = arn("role/other").parse().unwrap();
        other.holder.name = "other".to_owned();
        other.holder.id = "AROAOTHER".to_owned();
        iam.roles.push(other);
    }
    let at = "2026-11-22".parse().unwrap();
    let found = survey(&snapshot, std::slice::from_ref(technique), Catalog::get(), at);
    let [path] = found.paths.as_slice() else { panic!("{:?}", found.paths) };
    assert!(path.principal == world.attacker() && path.sure && path.hops.len() == 1, "{path:?}");
    let both: BTreeSet<String> = [arn("role/other"), arn("role/victim")].into();
    assert_eq!(found.chains[&world.attacker()], both);
    assert_eq!(found.chains[&arn("role/victim")], [arn("role/other")].into());
    assert_eq!(found.accounts(), BTreeMap::new(), "all of one account");
}
