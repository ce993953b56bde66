//! `jitscan can`: one request, decided and explained.

use std::path::Path;
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::cli::args::{CanArgs, RequestArgs};
use crate::cli::commands::open;
use crate::cli::context::{CommandError, Context};
use crate::cli::documents;
use crate::cli::exit::Status;
use crate::cli::output::Meta;
use crate::compare::assessment::Gap;
use crate::decide::compile::Compiler;
use crate::decide::context::{Context as Keys, Slot};
use crate::decide::inquiry::{Inquiry, Question, set_time};
use crate::decide::worlds::World;
use crate::decide::{
    ActionName, Answer, Caller, CallerKind, Cited, Decision, Layer, LayerKind, Policies, PolicySet, Request,
    ResourcePolicy, Roster, Standing, Target,
};
use crate::model::arn::Arn;
use crate::model::snapshot::Snapshot;
use crate::model::table::{Cell, Column, ColumnKind, Table};
use crate::policy::DocumentKind;

/// Columns.
#[must_use]
pub fn columns() -> Vec<Column> {
    use ColumnKind::{List, Text};
    vec![
        Column::new("principal", Text, "who asks"),
        Column::new("action", Text, "what for"),
        Column::new("resource", Text, "on what"),
        Column::new("decision", Text, "Allowed, ImplicitlyDenied, ExplicitlyDenied or Undecided"),
        Column::new(
            "decided_by",
            List,
            "the layers that decided: boundary, identity, rcp, resource, scp, session, vpc_endpoint",
        ),
        Column::new("statements", List, "statements that apply, or may: effect, layer, policy#statement"),
        Column::new("depends_on", List, "condition keys on which an open answer depends"),
        Column::new("allowed_with", Text, "values of those keys with which it is allowed"),
        Column::new("denied_with", Text, "values of those keys with which it is not"),
        Column::new("caveats", List, "what could not be looked at and could change the answer"),
    ]
}

/// Runs it.
///
/// # Errors
/// When the store or a file cannot be read, or the principal is not known.
pub fn run(context: &Context<'_>, args: &CanArgs) -> Result<Status, CommandError> {
    let reader = open(context)?;
    let loaded = documents::load(&reader, context.as_of())?;
    let compiler = Compiler::deciding(Catalog::get());
    let roster = Roster::new(&loaded.snapshot, &compiler);
    let inquiry = Inquiry { roster: &roster, organization: loaded.snapshot.organization.as_ref() };
    let question = question(context, &args.action, args.resource.as_deref(), &args.request, &compiler)?;
    let (mut policies, request) = asked(&inquiry, &args.principal, &question)?;
    if !args.session_policy.is_empty() {
        policies.session = Some(Arc::new(session(&args.session_policy, &compiler)?));
    }
    let decision = policies.explain(&request);
    let gaps = gaps(&loaded.snapshot, &loaded.younger);
    if context.is_for_people() {
        context.emit_text(&told(&args.principal, &request, &decision, &gaps, roster_hint(&policies, &request)))?;
    } else {
        let table = Table { columns: columns(), rows: vec![row(&args.principal, &request, &decision)] };
        context.emit(&meta(context, "can", &loaded.snapshot, gaps), &table)?;
    }
    let refused = args.exit_code && decision.answer != Answer::Allowed;
    Ok(if refused { Status::Findings } else { Status::Done })
}

/// What machine output says of where it comes from.
#[must_use]
pub fn meta(context: &Context<'_>, command: &str, snapshot: &Snapshot, gaps: Vec<Gap>) -> Meta {
    Meta {
        command: command.to_owned(),
        as_of: Some(context.as_of()),
        catalogue: Some(Catalog::get().version().to_owned()),
        snapshot: Some(snapshot.hash.clone()),
        gaps,
        ..Meta::default()
    }
}

/// What the snapshot lacks.
#[must_use]
pub fn gaps(snapshot: &Snapshot, younger: &[String]) -> Vec<Gap> {
    let gap = |what: String, remedy: &str| Gap { kind: "snapshot".to_owned(), what, remedy: remedy.to_owned() };
    let mut out: Vec<Gap> = younger
        .iter()
        .map(|what| gap(format!("the store has {what} only"), "ingest the state of that time, or move --as-of"))
        .collect();
    if snapshot.organization.is_none() {
        out.push(gap(
            "no organisation was ingested: service and resource control policies are not known, and were taken not to exist".to_owned(),
            "jitscan ingest organization PATH",
        ));
    }
    out
}

/// What is asked, from the command line.
///
/// # Errors
/// When an argument cannot be read.
pub fn question(
    context: &Context<'_>,
    action: &str,
    resource: Option<&str>,
    args: &RequestArgs,
    compiler: &Compiler<'_>,
) -> Result<Question, CommandError> {
    let catalog = compiler.catalog;
    let action = ActionName::new(action, catalog);
    if !action.text.contains(':') || action.text.contains(['*', '?']) {
        return Err(CommandError::Usage(format!("expected one action such as s3:GetObject, found `{}`", action.text)));
    }
    if action.id.is_none() {
        context.note(&format!(
            "the catalogue does not know {}; it is decided by the patterns of the policies alone (see `jitscan catalog action`)",
            action.text
        ));
    }
    let target = Target::new(resource.unwrap_or("*"));
    if target.as_str() != "*" && target.parts().is_none() {
        let reason =
            format!("expected an ARN, or nothing for a request that names no resource; found `{}`", target.as_str());
        return Err(CommandError::Usage(reason));
    }
    if target.as_str().contains(['*', '?']) && target.as_str() != "*" {
        context.note("the resource is taken as one whose name holds the characters `*` or `?`, not as a pattern");
    }
    let mut keys = if args.no_other_context { Keys::default() } else { Keys::open() };
    for pair in &args.context {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(CommandError::Usage(format!("--context: expected KEY=VALUE, found `{pair}`")));
        };
        let mut values = if let Slot::Known(values) = keys.find(key) { values.clone() } else { Vec::new() };
        values.push(value.to_owned());
        keys.set(key, Slot::Known(values));
    }
    for key in &args.absent {
        keys.set(key, Slot::Absent);
    }
    set_time(&mut keys, context.as_of());
    let resource = match &args.resource_policy {
        Some(path) => {
            let text = file(path)?;
            let trust =
                target.parts().is_some_and(|[_, service, _, _, rest]| service == "iam" && rest.starts_with("role/"));
            let kind = if trust { DocumentKind::Trust } else { DocumentKind::Resource };
            let mut set = PolicySet::default();
            let name = path.display().to_string();
            let statements =
                compiler.document(&text, kind).map_err(|error| CommandError::Usage(format!("{name}: {error}")))?;
            set.add(&statements, Layer::Resource, &name.as_str().into(), &"".into());
            Some(ResourcePolicy::Is(Arc::new(set)))
        }
        None if args.no_resource_policy => Some(ResourcePolicy::Absent),
        None => None,
    };
    Ok(Question { action, target, owner: args.resource_account, context: keys, resource })
}

fn file(path: &Path) -> Result<String, CommandError> {
    std::fs::read_to_string(path).map_err(|source| CommandError::File { path: path.display().to_string(), source })
}

fn session(paths: &[std::path::PathBuf], compiler: &Compiler<'_>) -> Result<PolicySet, CommandError> {
    let mut set = PolicySet::default();
    for path in paths {
        let name = path.display().to_string();
        let statements = compiler
            .document(&file(path)?, DocumentKind::Identity)
            .map_err(|error| CommandError::Usage(format!("{name}: {error}")))?;
        set.add(&statements, Layer::Session, &name.as_str().into(), &"".into());
    }
    Ok(set)
}

/// The request and the policies that bear on it, for a principal as the command line names it.
fn asked(inquiry: &Inquiry<'_, '_>, text: &str, question: &Question) -> Result<(Policies, Request), CommandError> {
    let other = |caller: Caller| Ok(inquiry.of_other(Arc::new(caller), question));
    let missing = || {
        CommandError::Usage(format!(
            "`{text}` is no principal of the store; expected the ARN or name of a user or role (see `jitscan entitlements`), \
             a role session's ARN, an account's root, a service such as logs.amazonaws.com, or `anonymous`"
        ))
    };
    if text.eq_ignore_ascii_case("anonymous") {
        return other(Caller::anonymous());
    }
    let Ok(arn) = text.parse::<Arn>() else {
        if text.contains('.') && !text.contains('/') && named(inquiry.roster, text).is_empty() {
            return other(Caller::service(text));
        }
        return match named(inquiry.roster, text).as_slice() {
            [] => Err(missing()),
            [one] => of(inquiry, one, None, question).ok_or_else(missing),
            many => {
                let arns: Vec<&str> = many.iter().map(|standing| standing.holder.arn.as_str()).collect();
                Err(CommandError::Usage(format!("`{text}` is several principals; expected one of {}", arns.join(", "))))
            }
        };
    };
    if let Some(standing) = inquiry.roster.of(arn.as_str()).last() {
        return of(inquiry, standing, None, question).ok_or_else(missing);
    }
    if let Some(role) = arn.resource().strip_prefix("assumed-role/").and_then(|rest| rest.split('/').next()) {
        let found = named(inquiry.roster, role);
        let own = found.iter().find(|standing| Some(standing.account) == arn.account());
        return own.and_then(|standing| of(inquiry, standing, Some(&arn), question)).ok_or_else(missing);
    }
    let caller = Caller::of_arn(&arn, None).ok_or_else(missing)?;
    let known = arn.account().is_some_and(|account| inquiry.roster.scps(account).is_some());
    let needs_policies = caller.is_of_account() && arn.resource() != "root";
    // Of an account that was collected the snapshot has every user and role.
    if known && needs_policies { Err(missing()) } else { other(caller) }
}

fn of<'s>(
    inquiry: &Inquiry<'_, 's>,
    standing: &Standing<'s>,
    session: Option<&Arn>,
    question: &Question,
) -> Option<(Policies, Request)> {
    let caller = Arc::new(inquiry.caller(standing, session)?);
    Some(inquiry.of_principal(standing, caller, question))
}

fn named<'r, 's>(roster: &'r Roster<'s>, name: &str) -> Vec<&'r Standing<'s>> {
    roster.principals.iter().filter(|standing| standing.holder.name == name).collect()
}

/// A request that names no resource, for an action that works on resources: where it is granted.
fn roster_hint(policies: &Policies, request: &Request) -> Vec<String> {
    if request.resource.as_str() != "*" {
        return Vec::new();
    }
    let takes = request
        .action
        .id
        .and_then(|id| Catalog::get().action(id))
        .is_some_and(|action| action.resource_types().next().is_some());
    if !takes {
        return Vec::new();
    }
    let statements = policies.identity.statements().iter();
    statements
        .filter(|placed| {
            placed.statement.effect == crate::policy::Effect::Allow && placed.statement.names(&request.action)
        })
        .filter(|placed| !placed.statement.scope.resources.is_everything())
        .map(|placed| format!("{} on {}", placed.provenance(), placed.statement.scope.resources_text()))
        .collect()
}

fn row(principal: &str, request: &Request, decision: &Decision) -> Vec<Cell> {
    let world = |allowed: bool| {
        let found = decision.examples.iter().find(|world| (world.answer == Answer::Allowed) == allowed);
        Cell::from(found.map(|world| shown(world, &decision.depends_on)))
    };
    vec![
        principal.into(),
        request.action.text.as_str().into(),
        request.resource.as_str().into(),
        decision.answer.as_str().into(),
        Cell::List(decision.decided_by.iter().map(|layer| layer.as_str().to_owned()).collect()),
        Cell::List(decision.statements.iter().map(Cited::to_string).collect()),
        Cell::List(decision.depends_on.clone()),
        world(true),
        world(false),
        Cell::List(decision.caveats.clone()),
    ]
}

/// `aws:SourceIp absent, aws:username=ann`, of the keys that matter.
fn shown(world: &World, keys: &[String]) -> String {
    let of = |(key, slot): &(String, Slot)| match slot {
        Slot::Absent | Slot::Unknown => format!("{key} absent"),
        Slot::Known(values) => format!("{key}={}", values.join(" and ")),
    };
    let caller = world.caller.iter().map(|arn| format!("the caller being {arn}"));
    caller.chain(world.values.iter().filter(|(key, _)| keys.contains(key)).map(of)).collect::<Vec<_>>().join(", ")
}

/// The layers in plain words.
const fn words(layer: LayerKind) -> &'static str {
    match layer {
        LayerKind::Boundary => "the permissions boundary",
        LayerKind::Identity => "the principal's own policies",
        LayerKind::Rcp => "a resource control policy",
        LayerKind::Resource => "the resource's policy",
        LayerKind::Scp => "a service control policy",
        LayerKind::Session => "the session policy",
        LayerKind::VpcEndpoint => "the VPC endpoint's policy",
    }
}

fn told(principal: &str, request: &Request, decision: &Decision, gaps: &[Gap], hint: Vec<String>) -> String {
    use std::fmt::Write;
    let escape = crate::cli::escape::terminal;
    let mut out = String::new();
    let layers: Vec<&str> = decision.decided_by.iter().map(|layer| words(*layer)).collect();
    let layers = layers.join(" and ");
    let on =
        if request.resource.as_str() == "*" { String::new() } else { format!(" on {}", request.resource.as_str()) };
    let what = format!("{principal}: {}{on}", request.action.text);
    let verdict = match decision.answer {
        Answer::Allowed if layers.is_empty() && request.caller.kind == CallerKind::Root => {
            "Allowed: root holds every permission that no organisation policy takes away".to_owned()
        }
        Answer::Allowed if layers.is_empty() => "Allowed".to_owned(),
        Answer::Allowed => format!("Allowed by {layers}"),
        Answer::ExplicitlyDenied => format!("Denied explicitly by {layers}"),
        Answer::ImplicitlyDenied if layers.is_empty() => "Denied".to_owned(),
        Answer::ImplicitlyDenied => format!("Denied: nothing in {layers} allows it"),
        Answer::Undecided if decision.depends_on.is_empty() && decision.examples.len() > 1 => {
            "Undecided: it depends on who the caller is".to_owned()
        }
        Answer::Undecided if decision.depends_on.is_empty() => {
            "Undecided: something that it depends on was not collected".to_owned()
        }
        Answer::Undecided => {
            let also = if decision.examples.len() < 2 { ", and on what was not collected" } else { "" };
            format!("Undecided: it depends on {}{also}", decision.depends_on.join(", "))
        }
    };
    let _ = writeln!(out, "{}\n  {}", escape(&what), escape(&verdict));
    for world in &decision.examples {
        let how = if world.answer == Answer::Allowed { "allowed" } else { "denied" };
        let _ = writeln!(out, "  {how} for example with {}", escape(&shown(world, &decision.depends_on)));
    }
    let mut section = |title: &str, lines: &[String]| {
        if !lines.is_empty() {
            let _ = writeln!(out, "{title}");
            for line in lines {
                let _ = writeln!(out, "  {}", escape(line));
            }
        }
    };
    section("Statements", &decision.statements.iter().map(Cited::to_string).collect::<Vec<_>>());
    section("The action is granted on resources, and none was named; it is granted by", &hint);
    section("Not looked at", &decision.caveats);
    section("Missing", &gaps.iter().map(|gap| format!("{} ({})", gap.what, gap.remedy)).collect::<Vec<_>>());
    out
}
