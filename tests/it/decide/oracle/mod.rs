//! The slow, literal evaluator: one exact decision for each possible world, then all worlds together.
//!
//! Written from AWS's documentation ("Policy evaluation logic", "How AWS enforcement code logic evaluates requests",
//! "Policy evaluation for requests within a single account", "Cross-account policy evaluation logic", "Condition
//! operators", "Single-valued vs. multivalued context keys", "Variables and tags", "NotPrincipal", "Permissions
//! boundaries for IAM entities", "SCP evaluation", "Resource control policies") and from the project's own readings.

pub mod condition;
pub mod pattern;
pub mod principal;
mod witness;
mod worlds;

use pattern::Context;
use principal::{Caller, Kind, Level, Named};
use serde_json::Value;

/// One decision in one world.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    Allowed,
    Implicit,
    Explicit,
}

/// What a policy that does not parse does in a world.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Broken {
    Nothing,
    Allows,
    Denies,
}

/// The request, as far as it is certain.
struct Request {
    caller: Caller,
    action: String,
    resource: String,
    resource_account: Option<String>,
    known: Context,
    unknown: Vec<String>,
}

/// One possible world.
struct World {
    context: Context,
    /// Statements whose NotPrincipal names the caller partly: does the statement apply?
    partly: Vec<(usize, bool)>,
    /// Policies that do not parse.
    broken: Vec<(usize, Broken)>,
    /// Does the resource policy that nobody collected grant the request?
    uncollected_grants: bool,
    /// The session's ARN, where the caller is a bare role and policies name sessions of it.
    session: Option<String>,
}

/// What one or several policies say.
#[derive(Clone, Copy)]
struct Says {
    allow: Level,
    deny: bool,
}

const SILENT: Says = Says { allow: Level::None, deny: false };
/// IAM prefixes of the services that support RCPs (AWS Organizations User Guide, copy of 2026-09-26).
#[rustfmt::skip]
const RCP_SERVICES: &[&str] = &[
    "aoss", "appconfig", "appstream", "autoscaling", "autoscaling-plans", "budgets", "clouddirectory", "cloudfront",
    "cloudsearch", "cloudtrail-data", "codeartifact", "codebuild", "codecommit", "codepipeline", "cognito-identity",
    "cognito-idp", "comprehend", "comprehendmedical", "compute-optimizer", "cost-optimization-hub", "dax", "dsql",
    "dynamodb", "ecr", "ecr-public", "events", "firehose", "fis", "fms", "gamelift", "health", "inspector-scan",
    "kendra", "kinesisvideo", "kms", "logs", "memorydb", "networkmonitor", "notifications", "opensearch",
    "pca-connector-ad", "personalize", "polly", "pricing", "resource-groups", "rolesanywhere", "s3", "secretsmanager",
    "servicediscovery", "signin", "sqs", "sts", "support", "swf", "textract", "timestream-influxdb", "transcribe",
    "transfer", "translate", "wafv2", "workspaces", "xray",
];

/// A GetFederationToken session without a session policy gets nothing from its user's identity policies (IAM User Guide,
/// "Permissions for GetFederationToken"). Reading 6 of the brief does not say it; the generator avoids the case.
pub const FEDERATED_USER_NEEDS_SESSION_POLICY: bool = true;

/// Decides a case: `Allowed`, `ImplicitlyDenied`, `ExplicitlyDenied` or `Undecided`.
pub fn decide(case: &Value) -> &'static str {
    let request = Request::read(case);
    if request.action.eq_ignore_ascii_case("sts:GetCallerIdentity") {
        return if request.caller.kind == Kind::Anonymous { "ImplicitlyDenied" } else { "Allowed" };
    }
    if request.action.eq_ignore_ascii_case("sts:GetSessionToken") {
        let may = matches!(request.caller.kind, Kind::User | Kind::Root);
        return if may { "Allowed" } else { "ImplicitlyDenied" };
    }
    let (mut allowed, mut implicit, mut explicit) = (false, false, false);
    worlds::each(case, &request, &mut |world| {
        match decide_world(case, &request, world) {
            Outcome::Allowed => allowed = true,
            Outcome::Implicit => implicit = true,
            Outcome::Explicit => explicit = true,
        }
        !(allowed && (implicit || explicit))
    });
    match (allowed, implicit, explicit) {
        (true, false, false) => "Allowed",
        (true, _, _) => "Undecided",
        (false, true, _) => "ImplicitlyDenied",
        (false, false, _) => "ExplicitlyDenied",
    }
}

/// The request context that is certain: what the case says and what follows from the request.
pub fn known_context(case: &Value) -> Context {
    Request::read(case).known
}

/// One value or a list of values, as a list; null is the empty list.
fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.iter().collect(),
        other => vec![other],
    }
}

/// A scalar as text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(s) => Some(s.clone()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

fn texts(value: &Value) -> Vec<String> {
    list(value).into_iter().filter_map(text).collect()
}

fn address_of(value: &Value) -> usize {
    std::ptr::from_ref(value) as usize
}

/// The policy inside `{name, policy}`, or the document itself.
fn policy_of(doc: &Value) -> &Value {
    match doc.get("policy") {
        Some(policy) if doc.get("Statement").is_none() => policy,
        _ => doc,
    }
}

impl Request {
    fn read(case: &Value) -> Request {
        let request = &case["request"];
        let caller = Caller::read(request);
        let resource = request["resource"].as_str().unwrap_or("*").to_string();
        let in_arn = resource.split(':').nth(4).filter(|account| !account.is_empty()).map(str::to_string);
        let stated = request["resource_account"].as_str().map(str::to_string);
        let resource_account = stated.or(in_arn).or(caller.account.clone());
        let unknown: Vec<String> = texts(&request["unknown_context"]).iter().map(|key| key.to_lowercase()).collect();
        let mut named = unknown.clone();
        let mut known = Context::new();
        for (key, value) in request["context"].as_object().into_iter().flatten() {
            let key = key.to_lowercase();
            let values = texts(value);
            if !unknown.contains(&key) && !values.is_empty() {
                known.insert(key.clone(), values);
            }
            named.push(key);
        }
        for (key, value) in derived(&caller, &resource, resource_account.as_deref()) {
            if !named.contains(&key) {
                known.insert(key, vec![value]);
            }
        }
        let action = request["action"].as_str().unwrap().to_string();
        Request { caller, action, resource, resource_account, known, unknown }
    }

    fn action_name(&self) -> String {
        self.action.split(':').nth(1).unwrap_or_default().to_lowercase()
    }

    fn service(&self) -> String {
        self.action.split(':').next().unwrap().to_lowercase()
    }

    fn same_account(&self) -> bool {
        self.caller.account.is_some() && self.caller.account == self.resource_account
    }

    /// KMS keys and role trust: only the resource's own policy opens the door.
    fn is_special(&self) -> bool {
        let parts: Vec<&str> = self.resource.splitn(6, ':').collect();
        let [_, _, service, _, _, name] = parts[..] else {
            return false;
        };
        let action = self.action.to_lowercase();
        let key = service == "kms" && name.starts_with("key/") && action.starts_with("kms:");
        let trust = service == "iam" && name.starts_with("role/");
        let trust_action =
            action.starts_with("sts:assumerole") || action == "sts:tagsession" || action == "sts:setsourceidentity";
        key || trust && trust_action
    }
}

fn derived(caller: &Caller, resource: &str, resource_account: Option<&str>) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut add = |key: &str, value: &str| out.push((key.to_lowercase(), value.to_string()));
    let kind = match caller.kind {
        Kind::User => "User",
        Kind::Role | Kind::Session => "AssumedRole",
        Kind::Root => "Account",
        Kind::FederatedUser => "FederatedUser",
        Kind::Anonymous => "Anonymous",
        Kind::Provider | Kind::Service => "",
    };
    if !kind.is_empty() {
        add("aws:PrincipalType", kind);
    }
    if let Some(account) = &caller.account {
        let own = if caller.kind == Kind::FederatedUser { None } else { caller.role_arn.as_deref() };
        add("aws:PrincipalArn", own.unwrap_or(&caller.arn));
        add("aws:PrincipalAccount", account);
    }
    if let Some(name) = &caller.user_name {
        add("aws:username", name);
    }
    // Unsigned requests have an account and an id of their own, and no word on services.
    if caller.kind == Kind::Anonymous {
        add("aws:PrincipalAccount", "anonymous");
        add("aws:userid", "anonymous");
    } else {
        add("aws:PrincipalIsAWSService", if caller.kind == Kind::Service { "true" } else { "false" });
    }
    if caller.kind == Kind::Service {
        add("aws:PrincipalServiceName", &caller.arn);
    }
    if let (Some(account), true) = (resource_account, resource != "*") {
        add("aws:ResourceAccount", account);
    }
    out
}

/// Does the document have the structure of a policy?
fn parses(policy: &Value) -> bool {
    let strings = |v: &Value| match v {
        Value::String(_) => true,
        Value::Array(values) => values.iter().all(Value::is_string),
        _ => false,
    };
    let statement = |s: &Value| {
        let one_of = |a: &str, b: &str, required: bool| match (s.get(a), s.get(b)) {
            (Some(_), Some(_)) => false,
            (Some(v), None) | (None, Some(v)) => strings(v),
            (None, None) => !required,
        };
        let conditions = s.get("Condition").is_none_or(|c| {
            c.as_object()
                .is_some_and(|map| map.iter().all(|(op, keys)| condition::operator(op).is_some() && keys.is_object()))
        });
        matches!(s["Effect"].as_str(), Some("Allow" | "Deny"))
            && one_of("Action", "NotAction", true)
            && one_of("Resource", "NotResource", false)
            && !(s.get("Principal").is_some() && s.get("NotPrincipal").is_some())
            && conditions
    };
    let version = matches!(policy.get("Version").map(Value::as_str), None | Some(Some("2008-10-17" | "2012-10-17")));
    let statements = match policy.get("Statement") {
        Some(Value::Array(all)) => all.iter().all(statement),
        Some(one @ Value::Object(_)) => statement(one),
        _ => false,
    };
    version && statements
}

fn has_variables(policy: &Value) -> bool {
    policy["Version"] == "2012-10-17"
}

fn decide_world(case: &Value, request: &Request, world: &World) -> Outcome {
    let caller = &request.caller;
    let asks = |field: &str| says_all(&list(&case[field]), request, world);
    let of_identity = |field: &str| if caller.has_identity() { asks(field) } else { SILENT };
    let identity = of_identity("identity_policies");
    let boundary = of_identity("permission_boundaries");
    let session = of_identity("session_policy");
    let mut resource = asks("resource_policy");
    let endpoint = asks("vpc_endpoint_policies");
    let (scp_allows, scp_denies) = levels(case, "scps", scps_apply(case, caller), request, world);
    let (rcp_allows, rcp_denies) = levels(case, "rcps", rcps_apply(case, request), request, world);
    if world.uncollected_grants {
        resource.allow = Level::Direct;
    }
    let denies = [identity, boundary, session, resource, endpoint].iter().any(|says| says.deny);
    if denies || scp_denies || rcp_denies {
        return Outcome::Explicit;
    }
    if caller.kind == Kind::Root && request.action.eq_ignore_ascii_case("sts:AssumeRole") {
        return Outcome::Implicit;
    }
    let unset_or_allows = |field: &str, says: Says| case[field].is_null() || says.allow > Level::None;
    let filters = unset_or_allows("permission_boundaries", boundary) && unset_or_allows("session_policy", session);
    let bare_federation = caller.kind == Kind::FederatedUser && case["session_policy"].is_null();
    let filters = filters && !(bare_federation && FEDERATED_USER_NEEDS_SESSION_POLICY);
    let endpoint_allows = unset_or_allows("vpc_endpoint_policies", endpoint);
    let granted = grants(request, identity.allow > Level::None, filters, resource.allow);
    if granted && scp_allows && rcp_allows && endpoint_allows { Outcome::Allowed } else { Outcome::Implicit }
}

/// What a principal of another account can be allowed to do with a key.
const KMS_ABROAD: [&str; 20] = [
    "creategrant",
    "decrypt",
    "derivesharedsecret",
    "describekey",
    "encrypt",
    "generatedatakey",
    "generatedatakeypair",
    "generatedatakeypairwithoutplaintext",
    "generatedatakeywithoutplaintext",
    "generatemac",
    "getkeyrotationstatus",
    "getpublickey",
    "listgrants",
    "reencryptfrom",
    "reencryptto",
    "retiregrant",
    "revokegrant",
    "sign",
    "verify",
    "verifymac",
];

/// Do the identity side and the resource policy together grant the request?
fn grants(request: &Request, identity: bool, filters: bool, resource: Level) -> bool {
    let caller = &request.caller;
    if !caller.has_identity() && caller.kind != Kind::Root {
        return resource > Level::None;
    }
    let root = caller.kind == Kind::Root;
    if !request.same_account() {
        // Administration of a key cannot be given away: KMS Developer Guide, "Allowing users in other accounts".
        if request.is_special() && request.service() == "kms" && !KMS_ABROAD.contains(&request.action_name().as_str()) {
            return false;
        }
        return (root || identity && filters) && resource > Level::None;
    }
    if resource == Level::Direct {
        return true;
    }
    match (root, request.is_special()) {
        (true, special) => !special,
        (false, special) => {
            filters && (resource == Level::Limited || identity && (!special || resource >= Level::Account))
        }
    }
}

fn scps_apply(case: &Value, caller: &Caller) -> bool {
    caller.account.is_some()
        && case["request"]["principal_account_is_management"] != true
        && !caller.is_service_linked()
}

fn rcps_apply(case: &Value, request: &Request) -> bool {
    case["request"]["resource_account_is_management"] != true
        && RCP_SERVICES.contains(&request.service().as_str())
        && !request.caller.is_service_linked()
        && !request.action.eq_ignore_ascii_case("kms:RetireGrant")
}

/// (every level allows, some level denies)
fn levels(case: &Value, field: &str, applies: bool, request: &Request, world: &World) -> (bool, bool) {
    if !applies {
        return (true, false);
    }
    let says: Vec<Says> =
        list(&case[field]).iter().map(|level| says_all(&list(&level["policies"]), request, world)).collect();
    (says.iter().all(|level| level.allow > Level::None), says.iter().any(|level| level.deny))
}

fn says_all(docs: &[&Value], request: &Request, world: &World) -> Says {
    docs.iter()
        .map(|doc| says(doc, request, world))
        .fold(SILENT, |a, b| Says { allow: a.allow.max(b.allow), deny: a.deny || b.deny })
}

fn says(doc: &Value, request: &Request, world: &World) -> Says {
    if let Some((_, broken)) = world.broken.iter().find(|(address, _)| *address == address_of(doc)) {
        return match broken {
            Broken::Nothing => SILENT,
            Broken::Allows => Says { allow: Level::Direct, deny: false },
            Broken::Denies => Says { allow: Level::None, deny: true },
        };
    }
    let policy = policy_of(doc);
    let variables = has_variables(policy);
    let mut out = SILENT;
    for statement in list(&policy["Statement"]) {
        let level = applies(statement, variables, request, world);
        if statement["Effect"] == "Deny" {
            out.deny = out.deny || level > Level::None;
        } else {
            out.allow = out.allow.max(level);
        }
    }
    out
}

/// Does the statement apply to the request, and how closely does it name the caller?
fn applies(statement: &Value, variables: bool, request: &Request, world: &World) -> Level {
    let context = &world.context;
    let action = |v: &Value| texts(v).iter().any(|p| pattern::action_matches(p, &request.action));
    let resource = |v: &Value| texts(v).iter().any(|p| pattern::arn_matches(p, &request.resource, variables, context));
    let actions = match (statement.get("Action"), statement.get("NotAction")) {
        (Some(v), _) => action(v),
        (None, Some(v)) => !action(v),
        (None, None) => false,
    };
    let resources = match (statement.get("Resource"), statement.get("NotResource")) {
        (Some(v), _) => resource(v),
        (None, Some(v)) => !resource(v),
        (None, None) => true,
    };
    if !actions || !resources || !conditions_hold(&statement["Condition"], variables, context) {
        return Level::None;
    }
    principal_level(statement, request, world)
}

fn conditions_hold(block: &Value, variables: bool, context: &Context) -> bool {
    block.as_object().into_iter().flatten().all(|(name, keys)| {
        let op = condition::operator(name).unwrap();
        keys.as_object().into_iter().flatten().all(|(key, values)| {
            let request = context.get(&key.to_lowercase()).map(Vec::as_slice);
            condition::holds(&op, &texts(values), request, variables, context)
        })
    })
}

/// Deny with NotPrincipal hits every caller that has a permissions boundary.
fn boundary_hit(statement: &Value, case_has_boundary: bool, caller: &Caller) -> bool {
    statement["Effect"] == "Deny" && case_has_boundary && caller.has_identity()
}

fn principal_level(statement: &Value, request: &Request, world: &World) -> Level {
    if let Some(element) = statement.get("Principal") {
        return principal::level(element, &request.caller, world.session.as_deref());
    }
    let Some(element) = statement.get("NotPrincipal") else {
        return Level::Direct;
    };
    let address = address_of(statement);
    let hit = match world.partly.iter().find(|(partly, _)| *partly == address) {
        Some((_, applies)) => *applies,
        None => principal::named(element, &request.caller) == Named::Not,
    };
    if hit { Level::Direct } else { Level::None }
}
