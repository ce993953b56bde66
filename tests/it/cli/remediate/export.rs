//! A plan as code says the same as the plan: Terraform is read by a parser of HCL and carried out on the state by rules of
//! its own, templates are compared with the state after, and scripts are run with an `aws` that writes down its arguments.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use jitscan::model::snapshot::{AccountIam, Holder, Snapshot};
use jitscan::remediate::Plan;
use serde_json::Value;

use super::super::Place;
use super::super::recommend::{AT, demo};

/// Inline policies by name, attachments, groups.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Held {
    pub(super) inline: BTreeMap<String, Value>,
    pub(super) attached: BTreeSet<String>,
    pub(super) groups: BTreeSet<String>,
    /// Whom a role lets in.
    pub(super) trust: Option<Value>,
}

pub(super) type State = BTreeMap<(String, String), Held>;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Users and roles by kind and name, and policies by ARN.
pub(super) fn state(iam: &AccountIam) -> (State, BTreeMap<String, Value>) {
    let held = |holder: &Holder, groups: &[String], trust: Option<&String>| Held {
        trust: trust.map(|text| json(text)),
        inline: holder.inline.iter().map(|one| (one.name.clone(), json(&one.json))).collect(),
        attached: holder.attached.iter().map(|one| one.arn.clone()).collect(),
        groups: groups.iter().cloned().collect(),
    };
    let users =
        iam.users.iter().map(|one| (("user".into(), one.holder.name.clone()), held(&one.holder, &one.groups, None)));
    let roles = iam
        .roles
        .iter()
        .map(|one| (("role".into(), one.holder.name.clone()), held(&one.holder, &[], Some(&one.trust))));
    let policies = iam.policies.iter().map(|one| (one.arn.clone(), json(&one.json))).collect();
    // Roles of permission sets follow these, and are written nowhere.
    let own = |((_, name), _): &((String, String), Held)| !name.starts_with("AWSReservedSSO_");
    (users.chain(roles).filter(own).collect(), policies)
}

fn planned(place: &Place) -> (Plan, Snapshot) {
    let path = place.path("plan.json");
    place.rows(&format!("{AT} remediate plan --out {}", path.display()));
    let plan = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let reader = jitscan::lake::Reader::open(&place.path("demo/store")).unwrap();
    let before = jitscan::cli::documents::load(&reader, "2026-11-01".parse().unwrap()).unwrap().snapshot;
    (plan, before)
}

fn string(expression: &hcl::Expression) -> String {
    match expression {
        hcl::Expression::String(text) => text.clone(),
        hcl::Expression::TemplateExpr(template) => {
            let template = hcl::Template::from_expr(template).unwrap();
            let literal = |element: &hcl::template::Element| match element {
                hcl::template::Element::Literal(text) => text.clone(),
                other => panic!("{other:?}"),
            };
            template.elements().iter().map(literal).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn strings(expression: &hcl::Expression) -> BTreeSet<String> {
    let hcl::Expression::Array(items) = expression else { panic!("{expression:?}") };
    items.iter().map(string).collect()
}

/// Carries a file of HCL out on a state.
pub(super) fn applied(text: &str, account: &str, mut state: State, policies: &mut BTreeMap<String, Value>) -> State {
    let body: hcl::Body = hcl::from_str(text).unwrap();
    let mut addresses = BTreeSet::new();
    let of = |block: &hcl::Block, name: &str| {
        let found = block.body().attributes().find(|attribute| attribute.key() == name);
        found.unwrap_or_else(|| panic!("{name} of {block:?}")).expr().clone()
    };
    let mut roles: BTreeMap<String, String> = BTreeMap::new();
    let blocks: Vec<&hcl::Block> = body.blocks().collect();
    for block in &blocks {
        if block.identifier() == "import" {
            continue;
        }
        let labels: Vec<&str> = block.labels().iter().map(hcl::BlockLabel::as_str).collect();
        let (kind, own) = match (block.identifier(), labels.as_slice()) {
            ("resource", [kind, own]) => (*kind, *own),
            ("provider", _) => {
                assert_eq!(strings(&of(block, "allowed_account_ids")), BTreeSet::from([account.to_owned()]));
                continue;
            }
            _ => continue,
        };
        assert!(addresses.insert(format!("{kind}.{own}")), "twice: {kind}.{own}");
        let parts: Vec<&str> = kind.split('_').collect();
        match kind {
            "aws_iam_role" => {
                let name = string(&of(block, "name"));
                roles.insert(format!("aws_iam_role.{own}.name"), name.clone());
                let trust = Some(json(&string(&of(block, "assume_role_policy"))));
                let at = ("role".to_owned(), name.clone());
                // What stands already has to be imported, and is managed for this alone.
                let imported = text.contains(&format!("to = aws_iam_role.{own}\n  id = \"{name}\""));
                assert_eq!(imported, state.contains_key(&at), "{name}");
                state.entry(at).or_default().trust = trust;
            }
            "aws_iam_policy" => {
                let arn = format!(
                    "arn:aws:iam::{account}:policy{}{}",
                    string(&of(block, "path")),
                    string(&of(block, "name"))
                );
                assert!(policies.insert(arn, json(&string(&of(block, "policy")))).is_none());
            }
            "aws_iam_role_policy" | "aws_iam_user_policy" => {
                let holder = match of(block, parts[2]) {
                    hcl::Expression::Traversal(reference) => {
                        roles[&hcl::format::to_string(&*reference).unwrap()].clone()
                    }
                    other => string(&other),
                };
                let document = json(&string(&of(block, "policy")));
                let held = state.get_mut(&(parts[2].to_owned(), holder)).unwrap();
                held.inline.insert(string(&of(block, "name")), document);
            }
            "aws_iam_role_policy_attachment" | "aws_iam_user_policy_attachment" => {
                let holder = string(&of(block, parts[2]));
                let arn = string(&of(block, "policy_arn"));
                assert!(state.get_mut(&(parts[2].to_owned(), holder)).unwrap().attached.insert(arn));
            }
            "aws_iam_role_policies_exclusive" | "aws_iam_user_policies_exclusive" => {
                let holder = string(&of(block, &format!("{}_name", parts[2])));
                let kept = strings(&of(block, "policy_names"));
                let held = state.get_mut(&(parts[2].to_owned(), holder)).unwrap();
                held.inline.retain(|name, _| kept.contains(name));
                assert_eq!(held.inline.keys().cloned().collect::<BTreeSet<_>>(), kept);
            }
            "aws_iam_role_policy_attachments_exclusive" | "aws_iam_user_policy_attachments_exclusive" => {
                let holder = string(&of(block, &format!("{}_name", parts[2])));
                state.get_mut(&(parts[2].to_owned(), holder)).unwrap().attached = strings(&of(block, "policy_arns"));
            }
            "aws_iam_user_group_membership" => {
                let holder = string(&of(block, "user"));
                state.get_mut(&("user".to_owned(), holder)).unwrap().groups = strings(&of(block, "groups"));
            }
            _ if kind.starts_with("aws_ssoadmin_") => {}
            other => panic!("{other}"),
        }
    }
    // What is imported is described.
    for block in blocks.iter().filter(|block| block.identifier() == "import") {
        let to = hcl::format::to_string(&of(block, "to")).unwrap();
        assert!(addresses.contains(&to), "{to}");
        assert!(!string(&of(block, "id")).is_empty());
    }
    state
}

#[test]
fn terraform_leads_to_the_same_state() {
    let place = demo();
    let (plan, before) = planned(&place);
    let after = plan.after(&before).unwrap();
    let files = place.rows(&format!("{AT} remediate export plan.json --as terraform --out code"));
    assert!(files.len() >= 3, "{files:?}");
    let mut seen = 0;
    for file in &files {
        let account = file["account"].as_str().unwrap();
        let text = fs::read_to_string(place.path(file["file"].as_str().unwrap())).unwrap();
        let id = account.parse().unwrap();
        if !before.accounts.contains_key(&id) {
            seen += sets_of(&text, &plan, &after);
            continue;
        }
        let ((old, mut policies), (new, wanted)) = (state(&before.accounts[&id]), state(&after.accounts[&id]));
        assert_ne!(old, new);
        // What stands already has to be imported: Terraform would find it in the way.
        for (kind, name) in [("role", "iam_role_policy"), ("user", "iam_user_policy")] {
            for ((_, holder), held) in old.iter().filter(|((of, _), _)| of == kind) {
                for policy in held.inline.keys() {
                    let id = format!("id = \"{holder}:{policy}\"");
                    let written = plan.steps().any(|(_, _, step)| {
                        let words = step.effect.arguments();
                        words[1] == format!("put-{kind}-policy") && words[3] == *holder && words[5] == *policy
                    });
                    assert_eq!(text.contains(&id), written, "{name} {id}");
                }
            }
        }
        assert_eq!(applied(&text, account, old, &mut policies), new, "{account}");
        assert_eq!(policies, wanted, "{account}");
    }
    assert!(seen > 10, "permission sets are written in the account of Identity Center");
}

/// Permission sets in a file of HCL say what those of the state after say; how many resources there are of them.
pub(super) fn sets_of(text: &str, plan: &Plan, after: &Snapshot) -> usize {
    let body: hcl::Body = hcl::from_str(text).unwrap();
    let of = |block: &hcl::Block, name: &str| {
        let found = block.body().attributes().find(|attribute| attribute.key() == name);
        found.unwrap_or_else(|| panic!("{name} of {block:?}")).expr().clone()
    };
    let center = after.identity_center.as_ref().unwrap();
    let set = |named: &str| center.permission_sets.iter().find(|set| set.arn == named || set.name == named).unwrap();
    let resources: Vec<&hcl::Block> = body.blocks().filter(|block| block.identifier() == "resource").collect();
    let mut made: BTreeMap<String, String> = BTreeMap::new();
    for block in resources.iter().filter(|block| block.labels()[0].as_str() == "aws_ssoadmin_permission_set") {
        let name = string(&of(block, "name"));
        assert_eq!(string(&of(block, "session_duration")), set(&name).session_duration);
        assert_eq!(string(&of(block, "instance_arn")), center.instance);
        made.insert(format!("aws_ssoadmin_permission_set.{}.arn", block.labels()[1].as_str()), name);
    }
    assert_eq!(made.len(), plan.grants.iter().filter(|grant| !grant.reach.is_empty()).count());
    let mut written = BTreeSet::new();
    for block in &resources {
        let whose = |block: &hcl::Block| match of(block, "permission_set_arn") {
            hcl::Expression::Traversal(reference) => made[&hcl::format::to_string(&*reference).unwrap()].clone(),
            other => string(&other),
        };
        match block.labels()[0].as_str() {
            "aws_ssoadmin_permission_set_inline_policy" => {
                let held = set(&whose(block)).policies.as_ref().unwrap();
                assert_eq!(json(&string(&of(block, "inline_policy"))), json(held.inline.as_ref().unwrap()));
                assert!(written.insert(whose(block)));
            }
            "aws_ssoadmin_managed_policy_attachments_exclusive" => {
                let held = set(&whose(block)).policies.as_ref().unwrap();
                assert!(strings(&of(block, "managed_policy_arns")).iter().eq(&held.managed));
            }
            "aws_ssoadmin_customer_managed_policy_attachments_exclusive" => {
                let held = set(&whose(block)).policies.as_ref().unwrap();
                let inside =
                    block.body().blocks().filter(|one| one.identifier() == "customer_managed_policy_reference");
                let names: BTreeSet<String> = inside
                    .map(|one| {
                        let of =
                            |name: &str| string(one.body().attributes().find(|at| at.key() == name).unwrap().expr());
                        format!("{}{}", of("path"), of("name"))
                    })
                    .collect();
                let wanted: BTreeSet<String> =
                    held.customer.iter().map(|one| format!("{}{}", one.path, one.name)).collect();
                assert_eq!(names, wanted);
            }
            "aws_ssoadmin_permissions_boundary_attachment" => {
                let held = set(&whose(block)).policies.as_ref().unwrap();
                let inside = block.body().blocks().find(|one| one.identifier() == "permissions_boundary").unwrap();
                let attribute = inside.body().attributes().find(|one| one.key() == "managed_policy_arn").unwrap();
                let arn = string(attribute.expr());
                assert_eq!(held.boundary, Some(jitscan::model::snapshot::SetBoundary::Managed(arn)));
            }
            "aws_ssoadmin_permission_set" => {}
            other => panic!("{other}"),
        }
    }
    // What stands is imported, by identifiers that Terraform knows it by.
    for change in plan.changes.iter().filter(|change| !change.roles.is_empty()) {
        let id = format!("id = \"{},{}\"", change.principal, center.instance);
        let put = "put-inline-policy-to-permission-set";
        let puts = change.steps.iter().find(|step| step.effect.arguments()[1] == put);
        assert_eq!(written.contains(&change.principal), puts.is_some(), "{id}");
        assert_eq!(text.contains(&id), puts.is_some_and(|step| step.undo.arguments()[1] == put), "{id}");
    }
    resources.len()
}

#[test]
fn templates_describe_the_states_before_and_after() {
    let place = demo();
    let (plan, before) = planned(&place);
    let after = plan.after(&before).unwrap();
    place.rows(&format!("{AT} remediate export plan.json --as cloudformation --out code"));
    let (mut seen, mut made) = (0, 0);
    let mut sets = 0;
    for account in plan.steps().map(|(account, ..)| account).collect::<BTreeSet<_>>() {
        let read = |name: &str| json(&fs::read_to_string(place.path(&format!("code/{account}/{name}"))).unwrap());
        let described = |template: &Value| {
            let mut out = State::new();
            let mut policies = BTreeMap::new();
            let resources = template["Resources"].as_object().unwrap();
            let arn = |value: &Value| match value.get("Ref") {
                Some(of) => {
                    let properties = &resources[of.as_str().unwrap()]["Properties"];
                    let text = |name: &str| properties[name].as_str().unwrap();
                    format!("arn:aws:iam::{account}:policy{}{}", text("Path"), text("ManagedPolicyName"))
                }
                None => value.as_str().unwrap().to_owned(),
            };
            for resource in resources.values() {
                let properties = &resource["Properties"];
                let all = |name: &str| properties[name].as_array().into_iter().flatten();
                let kind = match resource["Type"].as_str().unwrap() {
                    "AWS::IAM::ManagedPolicy" => {
                        let of = |name: &str| properties[name].as_str().unwrap();
                        let arn = format!("arn:aws:iam::{account}:policy{}{}", of("Path"), of("ManagedPolicyName"));
                        policies.insert(arn, properties["PolicyDocument"].clone());
                        continue;
                    }
                    // Compared below.
                    "AWS::SSO::PermissionSet" => continue,
                    "AWS::IAM::User" => "User",
                    "AWS::IAM::Role" => "Role",
                    other => panic!("{other}"),
                };
                let name = properties[&format!("{kind}Name")].as_str().unwrap().to_owned();
                let inline =
                    |one: &Value| (one["PolicyName"].as_str().unwrap().to_owned(), one["PolicyDocument"].clone());
                let held = Held {
                    inline: all("Policies").map(inline).collect(),
                    attached: all("ManagedPolicyArns").map(&arn).collect(),
                    groups: all("Groups").map(|group| group.as_str().unwrap().to_owned()).collect(),
                    trust: properties.get("AssumeRolePolicyDocument").cloned(),
                };
                out.insert((kind.to_lowercase(), name), held);
            }
            (out, policies)
        };
        sets += sets_in(&read("2-change.template.json"), &plan, &after);
        if !before.accounts.contains_key(&account) {
            let (old, imports) = (read("1-import.template.json"), read("resources-to-import.json"));
            assert_eq!(sets_in(&old, &plan, &before), imports.as_array().unwrap().len());
            seen += imports.as_array().unwrap().len();
            continue;
        }
        let (new, policies) = described(&read("2-change.template.json"));
        let (wanted, documents) = state(&after.accounts[&account]);
        for (who, held) in &new {
            assert_eq!(held, &wanted[who], "{who:?}");
        }
        made += policies.len();
        assert!(policies.iter().all(|(arn, json)| documents[arn] == *json));
        if place.path(&format!("code/{account}/1-import.template.json")).exists() {
            let (old, _) = described(&read("1-import.template.json"));
            let (was, _) = state(&before.accounts[&account]);
            let imports = read("resources-to-import.json");
            assert_eq!(imports.as_array().unwrap().len(), old.len());
            seen += old.len();
            for (who, held) in &old {
                assert_eq!(held, &was[who], "{who:?}");
            }
        }
    }
    assert_eq!(seen, plan.changes.len());
    let of_sets = plan.grants.iter().filter(|grant| !grant.reach.is_empty()).count();
    assert_eq!(sets, of_sets + plan.changes.iter().filter(|change| !change.roles.is_empty()).count());
    let policies = plan.steps().filter(|(_, _, step)| step.effect.arguments()[1] == "create-policy").count();
    assert_eq!(made, policies);
}

/// Permission sets in a template say what those of a state say; how many there are.
fn sets_in(template: &Value, plan: &Plan, state: &Snapshot) -> usize {
    let center = state.identity_center.as_ref().unwrap();
    let resources = template["Resources"].as_object().unwrap();
    let sets = resources.values().filter(|one| one["Type"] == "AWS::SSO::PermissionSet");
    let mut count = 0;
    for set in sets {
        let properties = &set["Properties"];
        let found = center.permission_sets.iter().find(|one| one.name == properties["Name"].as_str().unwrap()).unwrap();
        let held = found.policies.as_ref().unwrap();
        assert_eq!(properties["InstanceArn"], center.instance.as_str());
        assert_eq!(properties["SessionDuration"], found.session_duration.as_str());
        assert_eq!(properties.get("InlinePolicy"), held.inline.as_ref().map(|text| json(text)).as_ref());
        let managed = properties["ManagedPolicies"].as_array().cloned().unwrap_or_default();
        assert_eq!(managed, held.managed.iter().map(|arn| Value::from(arn.as_str())).collect::<Vec<_>>());
        let ours = plan.grants.iter().any(|grant| grant.role == found.name);
        assert_eq!(set["DeletionPolicy"] == "Retain", !ours);
        count += 1;
    }
    count
}

/// The calls of steps as a script makes them, or takes them back.
fn as_a_script_calls(plan: &Plan, steps: &[&jitscan::remediate::Step], back: bool) -> Vec<Vec<String>> {
    let provisions = |step: &&jitscan::remediate::Step| step.effect.arguments()[1] == "provision-permission-set";
    // Roles are brought to what was changed, and not before.
    let idle = |step: &jitscan::remediate::Step| {
        plan.changes.iter().any(|change| {
            let mut own = change.steps.iter();
            let one = if back { own.rfind(provisions) } else { own.find(provisions) };
            one.is_some_and(|one| std::ptr::eq(one, step))
        })
    };
    let words = |step: &&jitscan::remediate::Step| {
        let mut words = if back { step.undo.arguments() } else { step.effect.arguments() };
        // It asks for the number of the request, to wait for its end.
        if words[1] == "provision-permission-set" {
            let more = ["--query", "PermissionSetProvisioningStatus.RequestId", "--output", "text"];
            words.extend(more.map(str::to_owned));
        }
        // Of a set that the plan makes the ARN is looked up, and stands last.
        let flag = words.iter().position(|word| word == "--permission-set-arn");
        if let Some(flag) = flag.filter(|flag| !words[flag + 1].starts_with("arn:")) {
            let moved: Vec<String> = words.drain(flag..flag + 2).collect();
            words.extend(moved);
        }
        words
    };
    let mut out: Vec<Vec<String>> = steps.iter().copied().filter(|step| !idle(step)).map(|step| words(&step)).collect();
    if back {
        out.reverse();
    }
    out
}

#[test]
fn scripts_make_the_calls_of_the_plan_and_take_them_back() {
    let place = demo();
    let (plan, _) = planned(&place);
    place.rows(&format!("{AT} remediate export plan.json --as cli --out code"));
    let bin = place.path("bin");
    fs::create_dir(&bin).unwrap();
    let aws = bin.join("aws");
    // Permission sets are looked up by name: the one that was asked for last is said to be there.
    let fake = "#!/bin/sh\nif [ \"$1\" = sts ]; then echo \"$ACCOUNT\"; exit 0; fi\n\
                case $2 in\n\
                list-permission-sets) ls \"$SETS\"; exit 0 ;;\n\
                describe-permission-set) echo \"$6\"; exit 0 ;;\n\
                describe-permission-set-provisioning-status) echo SUCCEEDED; exit 0 ;;\n\
                create-permission-set) : > \"$SETS/$6\" ;;\n\
                esac\n\
                printf '%s\\0' \"$@\" >> \"$CALLS\"\nprintf '\\1' >> \"$CALLS\"\n";
    let sets = place.path("sets");
    fs::create_dir(&sets).unwrap();
    fs::write(&aws, fake).unwrap();
    fs::set_permissions(&aws, fs::Permissions::from_mode(0o700)).unwrap();
    let run = |script: &str, account: &str, credentials: &str| {
        let calls = place.path("calls");
        let _ = fs::remove_file(&calls);
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let ended = Command::new("sh")
            .arg(place.path(&format!("code/{account}/{script}")))
            .env("PATH", path)
            .env("CALLS", &calls)
            .env("SETS", &sets)
            .env("ACCOUNT", credentials)
            .status()
            .unwrap();
        let text = fs::read_to_string(&calls).unwrap_or_default();
        let made: Vec<Vec<String>> = text
            .split_terminator('\u{1}')
            .map(|call| call.split_terminator('\0').map(str::to_owned).collect())
            .collect();
        (ended.success(), made)
    };
    for account in plan.steps().map(|(account, ..)| account).collect::<BTreeSet<_>>() {
        let steps: Vec<_> = plan.steps().filter(|(of, ..)| *of == account).map(|(_, _, step)| step).collect();
        let name = account.to_string();
        let there = as_a_script_calls(&plan, &steps, false);
        let back = as_a_script_calls(&plan, &steps, true);
        assert_eq!(run("apply.sh", &name, &name), (true, there));
        assert_eq!(run("rollback.sh", &name, &name), (true, back));
        // With credentials of another account nothing is called.
        assert_eq!(run("apply.sh", &name, "000000000000"), (false, Vec::new()));
    }
}
