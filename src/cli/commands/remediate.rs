//! `jitscan remediate`: from advice to a plan that can be read, and the proof that it breaks nobody's work.

mod analyzed;
mod apply;
mod export;
mod past;
mod pipelines;
mod prove;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use similar::TextDiff;

use crate::catalog::Glob;
use crate::cli::args::{PlanArgs, RecommendArgs, RemediateAction, ResourcesOf};
use crate::cli::commands::{open, recommend as recommending};
use crate::cli::context::{CommandError, Context};
use crate::cli::escape::terminal_lines;
use crate::cli::exit::Status;
use crate::cli::output::Meta;
use crate::cli::pipeline::World;
use crate::compare::assessment::Gap;
use crate::compare::{self, Confined};
use crate::decide::reach::Reach;
use crate::lake::Reader;
use crate::model::snapshot::Snapshot;
use crate::model::table::{Cell, Column, ColumnKind, Table};
use crate::remediate::effect::Effect;
use crate::remediate::set_effect::{SetChange, SetEffect};
use crate::remediate::{self, Code, FORM, Failing, Plan, Reason, Step};

use crate::report::{Folder, Sink};
pub use apply::run_columns;
pub use export::export_columns;
pub use past::{drifted, list_columns};
use pipelines::Gathered;
pub use prove::prove_columns;
pub use watch::{shadow_columns, watch_columns};

/// What `remediate --help` says at its end.
pub const HELP: &str = "\
A plan is a file that names the state it was made from and every call to IAM and Identity Center, each with the one that takes it back. It \
only ever narrows: statements lose actions, and those of programs the resources that were not used; conditions and Deny stay as \
they are written. A role that pipelines enter lets in those that did. Access that is \
to be asked for moves to a role of its own, closed until a grant opens it. A permission set changes as a whole, with its \
roles in all accounts; what is asked for moves to another one, which nobody has until it is granted.

A proof takes every distinct call that was recorded of the plan's principals in the window and decides it again in the \
state after the plan: still allowed, through a grant, would be denied, undecidable, or refused to somebody who has left since, \
with events for each. What CloudTrail did not record it cannot see; `--window` says how far it looks back.

`apply` begins only when nothing speaks against it, and announces every step in the store before it is made. A run that died \
goes on with the same command; one that failed takes back what it made (exit code 1), and where that cannot be done, says \
what a person has to look at (exit code 5).";

/// Columns of `plan`.
#[must_use]
pub fn plan_columns() -> Vec<Column> {
    use ColumnKind::{Integer, List, Text};
    vec![
        Column::new(
            "kind",
            Text,
            "grant: a role for what is asked for from now on; change; left: chosen and left as it is",
        ),
        Column::new(
            "principal",
            Text,
            "ARN of a user, a role or a permission set; of a grant that whose standing access it takes the place of",
        ),
        Column::new("account", Text, "the account"),
        Column::new("role", Text, "of a grant: ARN of its role, or name of its permission set"),
        Column::new("people", List, "of a grant: who is eligible"),
        Column::new("granted", Integer, "of a change: actions granted before"),
        Column::new("removed", Integer, "how many of these go"),
        Column::new("calls", Integer, "calls to IAM or Identity Center"),
        Column::new("recommendations", List, "ids of what asked for it"),
        Column::new("why", List, "why, or why not"),
    ]
}

/// Columns of `show`.
#[must_use]
pub fn show_columns() -> Vec<Column> {
    use ColumnKind::{Integer, List, Text};
    vec![
        Column::new("step", Integer, "the order in which they are made, from 1"),
        Column::new("account", Text, "the account"),
        Column::new(
            "of",
            Text,
            "ARN of the principal that changes, or of the role of a grant; name of its permission set",
        ),
        Column::new("about", Text, "what it is for"),
        Column::new("do", List, "the call, as the AWS CLI takes it"),
        Column::new("undo", List, "the call that takes it back"),
    ]
}

/// Runs it.
///
/// # Errors
/// When the store or the plan cannot be read, or they do not fit.
pub fn run(context: &Context<'_>, action: &RemediateAction) -> Result<Status, CommandError> {
    match action {
        RemediateAction::Plan(args) => plan(context, args),
        RemediateAction::Show { plan } => show(context, &read(plan)?),
        RemediateAction::Prove(args) => prove::prove(context, args, &read(&args.plan)?),
        RemediateAction::Watch(args) => watch::watch(context, args),
        RemediateAction::Shadow(args) => watch::shadow(context, args),
        RemediateAction::Apply(args) => apply::apply(context, args),
        RemediateAction::Rollback(args) => apply::rollback(context, args),
        RemediateAction::List => past::list(context),
        RemediateAction::Export(args) => export::export(context, args),
    }
}

/// Reads a plan and checks that it is one that was not changed by hand.
fn read(path: &Path) -> Result<Plan, CommandError> {
    read_with_text(path).map(|(plan, _)| plan)
}

/// Reads a plan, and its text.
fn read_with_text(path: &Path) -> Result<(Plan, String), CommandError> {
    let failed = |why: String| CommandError::Failed(format!("{}: {why}", path.display()));
    let text = std::fs::read_to_string(path)
        .map_err(|source| CommandError::File { path: path.display().to_string(), source })?;
    // The form first: plans of others have other fields.
    let bare: Result<serde_json::Value, _> = serde_json::from_str(&text);
    let form = bare.ok().and_then(|value| value.get("form")?.as_u64());
    if let Some(form) = form.filter(|form| *form != u64::from(FORM)) {
        return Err(failed(format!(
            "expected a plan of form {FORM}, found form {form}: another release of jitscan made it"
        )));
    }
    let plan: Plan = serde_json::from_str(&text).map_err(|error| failed(format!("expected a plan: {error}")))?;
    let found = plan.hashed();
    if plan.hash != found {
        return Err(failed(format!("its hash is {found} and not {}, as it says: it was changed", plan.hash)));
    }
    Ok((plan, text))
}

fn plan(context: &Context<'_>, args: &PlanArgs) -> Result<Status, CommandError> {
    if context.names.is_some() {
        let why = "a plan names what it changes: make it without --pseudonymise, and show it with";
        return Err(CommandError::Usage(why.to_owned()));
    }
    let reader = open(context)?;
    let recommend = RecommendArgs { friction_budget: args.friction_budget, ..RecommendArgs::default() };
    let made = recommending::told(context, &reader, &recommend, |told| {
        let person = args.person.as_deref().map(|text| told.person(text));
        let wanted = |row: &&crate::recommend::Recommendation| {
            (args.id.is_empty() || args.id.iter().any(|id| row.id.starts_with(id.as_str())))
                && args.account.as_ref().is_none_or(|account| row.account == *account)
                && args.principal.as_ref().is_none_or(|text| row.principal.contains(text.as_str()))
                && person.as_ref().is_none_or(|person| row.person == *person)
                && (args.advice.is_empty() || args.advice.iter().any(|one| one.advice() == Some(row.advice)))
        };
        let rows = &told.all.rows;
        let pipelines = Gathered::of(&reader, told.world, args)?;
        for id in &args.id {
            if !rows.iter().any(|row| row.id.starts_with(id.as_str())) && !pipelines.has(id) {
                return Err(CommandError::Usage(format!("there is no recommendation `{id}`: see `jitscan recommend`")));
            }
        }
        let chosen: Vec<_> = rows.iter().filter(wanted).collect();
        // A permission set is changed with all of its roles.
        let distinct: BTreeSet<&str> = chosen.iter().map(|row| row.principal.as_str()).collect();
        let mut principals: BTreeSet<String> = BTreeSet::new();
        for principal in distinct {
            if !principals.contains(principal) {
                principals.extend(remediate::of_set(told.inputs.snapshot, principal));
            }
        }
        let verdicts = compare::action_verdicts(&told.world.inputs(), |arn| principals.contains(arn));
        let confined = match args.resources {
            ResourcesOf::Nobody => Vec::new(),
            _ => confined(&reader, told.world, &principals)?,
        };
        let plan = remediate::plan(&remediate::Inputs {
            source_identities: &source_identities(told.world),
            recommend: told.inputs,
            all: rows,
            chosen: &chosen.iter().map(|row| row.id.as_str()).collect(),
            verdicts: &verdicts,
            confined: &confined,
            resources: args.resources.into(),
            pipelines: &pipelines.told(),
            managed_by_code: args.managed_by_code,
            code: Code { patterns: &patterns(context), written: &told.world.written },
            failing: if args.go_on { Failing::GoOn } else { Failing::Unwind },
        });
        let mut meta = told.meta("remediate plan");
        let untagged = untagged(&plan, told.inputs.snapshot).filter(|_| !args.managed_by_code);
        meta.gaps.extend(untagged.clone());
        Ok((plan, meta, untagged))
    });
    let (plan, meta, untagged) = made?;
    write(&plan, &args.out)?;
    context.emit(&meta, &plan_table(&plan, context.is_for_people()))?;
    untagged.iter().for_each(|gap| context.note(&format!("{}: {}", gap.what, gap.remedy)));
    let (steps, left) = (plan.steps().count(), plan.left.len());
    context.note(&format!(
        "plan {}: {} grants, {} principals changed in {steps} calls, {left} left as they are; written to {}",
        plan.hash,
        plan.grants.len(),
        plan.changes.len(),
        args.out.display()
    ));
    Ok(Status::Done)
}

/// What principals used on some resources alone, with every resource that their calls name.
fn confined(reader: &Reader, world: &World, principals: &BTreeSet<String>) -> Result<Vec<Confined>, CommandError> {
    let mut all = compare::confined(&world.inputs(), |arn| principals.contains(arn));
    all.retain(|one| !one.actions.is_empty());
    let at: BTreeMap<String, usize> = all.iter().enumerate().map(|(at, one)| (one.arn.clone(), at)).collect();
    let whose = |session| world.actors.get(&session).and_then(|actor| at.get(actor.principal.as_str()).copied());
    if at.is_empty() {
        return Ok(all);
    }
    let reach = Reach::new(world.catalog);
    let shapes = reader.shapes_of_sessions(&|session| whose(session).is_some(), world.coverage.window())?;
    for key in shapes.keys() {
        if let Some(one) = whose(key.session).and_then(|at| all.get_mut(at)) {
            one.add(key, &reach, world.catalog);
        }
    }
    Ok(all)
}

/// That some of the permission sets to be changed may be managed as code: their tags were not read.
fn untagged(plan: &Plan, snapshot: &Snapshot) -> Option<Gap> {
    let changed: BTreeSet<&str> = plan.changes.iter().map(|change| change.principal.as_str()).collect();
    let sets = snapshot.identity_center.iter().flat_map(|center| &center.permission_sets);
    let count = sets.filter(|set| set.tags.is_none() && changed.contains(set.arn.as_str())).count();
    let what =
        format!("no tags were collected of {count} of the permission sets that change: they may say that code does it");
    let remedy = "let `jitscan collect` call sso:ListTagsForResource, or have `Tags` in the export".to_owned();
    (count > 0).then(|| Gap { kind: "snapshot".to_owned(), what, remedy })
}

/// Patterns over what code manages.
fn patterns(context: &Context<'_>) -> Vec<Glob> {
    context.config.managed_by_code.iter().map(|pattern| Glob::new(pattern)).collect()
}

/// Source identities that people's sessions carried, by principal and person.
fn source_identities(world: &World) -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut out: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for (session, actor) in &world.actors {
        let Some(person) = actor.sure_person() else { continue };
        let Some((_, identity)) = world.sessions.get(*session) else { continue };
        if !identity.source_identity.is_empty() {
            let at = (actor.principal.to_string(), person.to_owned());
            out.entry(at).or_default().insert(identity.source_identity.to_string());
        }
    }
    out
}

fn write(plan: &Plan, path: &Path) -> Result<(), CommandError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| CommandError::Usage(format!("{}: expected the name of a file", path.display())))?;
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut text = serde_json::to_string_pretty(plan).map_err(|error| CommandError::Failed(error.to_string()))?;
    text.push('\n');
    let failed = |source| CommandError::File { path: path.display().to_string(), source };
    Folder(folder.to_owned()).put(name, text.as_bytes()).map_err(failed)
}

fn because(reasons: &[Reason]) -> Vec<String> {
    let told = |one: &Reason| {
        let of = if one.person.is_empty() { String::new() } else { format!(" ({})", one.person) };
        format!("{}: {}{of}: {}", one.advice.replace('_', " "), one.capability, one.why.join("; "))
    };
    reasons.iter().map(told).collect()
}

fn ids(reasons: &[Reason]) -> Vec<String> {
    reasons.iter().map(|one| one.id.clone()).collect()
}

fn plan_table(plan: &Plan, people: bool) -> Table {
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    let name = |arn| if people { Cell::from(plan.called(arn).into_owned()) } else { Cell::from(arn) };
    for one in &plan.grants {
        rows.push(vec![
            "grant".into(),
            name(&one.principal),
            one.account.to_string().into(),
            one.role.as_str().into(),
            one.people.clone().into(),
            Cell::Null,
            Cell::Null,
            one.steps.len().into(),
            ids(&one.reasons).into(),
            because(&one.reasons).into(),
        ]);
    }
    for one in &plan.changes {
        rows.push(vec![
            "change".into(),
            name(&one.principal),
            one.account.to_string().into(),
            "".into(),
            Cell::List(Vec::new()),
            one.granted.into(),
            one.removed.into(),
            one.steps.len().into(),
            ids(&one.reasons).into(),
            because(&one.reasons).into(),
        ]);
    }
    for one in &plan.left {
        let account = one.principal.split(':').nth(4).unwrap_or_default();
        rows.push(vec![
            "left".into(),
            name(&one.principal),
            account.into(),
            "".into(),
            Cell::List(Vec::new()),
            Cell::Null,
            Cell::Null,
            Cell::Null,
            one.ids.clone().into(),
            vec![one.why.clone()].into(),
        ]);
    }
    let table = Table { columns: plan_columns(), rows };
    let columns = ["kind", "principal", "people", "granted", "removed", "calls", "why"];
    if people { for_people(&table, &columns) } else { table }
}

/// Some columns of a table, with what people call things.
fn for_people(table: &Table, names: &[&str]) -> Table {
    let mut out = pick(table, names);
    for (at, column) in out.columns.iter().enumerate() {
        for cell in out.rows.iter_mut().filter_map(|row| row.get_mut(at)) {
            let short = |person: &str| person.split('@').next().unwrap_or_default().to_owned();
            *cell = match (column.name.as_str(), &*cell) {
                ("principal", Cell::Text(arn)) if arn.starts_with("arn:") => {
                    let name = arn.rsplit(['/', ':']).next().unwrap_or_default();
                    match arn.split(':').nth(4).unwrap_or_default() {
                        // What is left of a plan names it in words.
                        "" => format!("permission set {name}").into(),
                        account => format!("{name} ({account})").into(),
                    }
                }
                ("person", Cell::Text(person)) => short(person).into(),
                ("people", Cell::List(people)) => people.iter().map(|one| short(one)).collect::<Vec<_>>().into(),
                // The reasons of advice stand in `show`.
                ("why", Cell::List(why)) if why.len() > 1 => format!("{} recommendations", why.len()).into(),
                ("verdict" | "outcome", Cell::Text(word)) => word.replace('_', " ").into(),
                _ => continue,
            };
        }
    }
    out
}

/// Some columns of a table.
fn pick(table: &Table, names: &[&str]) -> Table {
    let at: Vec<usize> =
        names.iter().filter_map(|name| table.columns.iter().position(|column| column.name == *name)).collect();
    let of = |row: &Vec<Cell>| at.iter().filter_map(|at| row.get(*at).cloned()).collect();
    Table {
        columns: at.iter().filter_map(|at| table.columns.get(*at).cloned()).collect(),
        rows: table.rows.iter().map(of).collect(),
    }
}

fn meta(plan: &Plan, command: &str) -> Meta {
    Meta {
        command: command.to_owned(),
        as_of: Some(plan.as_of),
        generation: Some(plan.generation),
        catalogue: Some(plan.catalogue.clone()),
        snapshot: Some(plan.snapshot.clone()),
        ..Meta::default()
    }
}

fn show(context: &Context<'_>, plan: &Plan) -> Result<Status, CommandError> {
    if context.is_for_people() {
        context.emit_text(&terminal_lines(&told(plan)))?;
        return Ok(Status::Done);
    }
    let row = |(at, (account, of, step)): (usize, (crate::model::arn::AccountId, &str, &Step))| {
        vec![
            Cell::from(at + 1),
            account.to_string().into(),
            of.into(),
            step.about.as_str().into(),
            step.effect.arguments().into(),
            step.undo.arguments().into(),
        ]
    };
    let rows = plan.steps().enumerate().map(row).collect();
    context.emit(&meta(plan, "remediate show"), &Table { columns: show_columns(), rows })?;
    Ok(Status::Done)
}

/// A plan for people: what changes, why, and the documents line by line.
fn told(plan: &Plan) -> String {
    let mut out = format!(
        "plan {}, as of {}, of state {} and generation {}\n{} grants, {} principals changed, {} left as they are\n",
        plan.hash,
        plan.as_of,
        plan.snapshot,
        plan.generation,
        plan.grants.len(),
        plan.changes.len(),
        plan.left.len()
    );
    let mut number = 0;
    for grant in &plan.grants {
        out.push_str(&format!(
            "\ngrant {}\n  in place of standing access of {}, for {} minutes at a time\n",
            grant.role,
            plan.called(&grant.principal),
            grant.minutes,
        ));
        match grant.reach.is_empty() {
            true => out.push_str(&format!("  eligible: {}\n", grant.people.join(", "))),
            false => grant.reach.iter().for_each(|(account, people)| {
                out.push_str(&format!("  eligible in {account}: {}\n", people.join(", ")));
            }),
        }
        told_steps(&grant.reasons, &grant.steps, &mut number, &mut out);
    }
    for change in &plan.changes {
        let name = plan.called(&change.principal);
        let also = if name == change.principal { String::new() } else { format!(" ({name})") };
        out.push_str(&format!(
            "\nchange {}{also}\n  {} of {} actions go\n",
            change.principal, change.removed, change.granted
        ));
        change.roles.iter().for_each(|arn| out.push_str(&format!("  its role {arn}\n")));
        told_steps(&change.reasons, &change.steps, &mut number, &mut out);
    }
    if !plan.left.is_empty() {
        out.push_str("\nleft as they are:\n");
    }
    for left in &plan.left {
        out.push_str(&format!("  {}: {}\n", left.principal, left.why));
    }
    out
}

fn told_steps(reasons: &[Reason], steps: &[Step], number: &mut usize, out: &mut String) {
    // The same is said of many people and accounts.
    let mut same: BTreeMap<(&str, &str), BTreeMap<String, BTreeSet<&str>>> = BTreeMap::new();
    for one in reasons {
        let whys = same.entry((&one.advice, &one.capability)).or_default();
        whys.entry(one.why.join("; ")).or_default().insert(&one.person);
    }
    for ((advice, capability), whys) in same {
        out.push_str(&format!("  because of {}: {capability}\n", advice.replace('_', " ")));
        for (why, people) in whys {
            let people: Vec<&str> = people.into_iter().filter(|person| !person.is_empty()).collect();
            let of = if people.is_empty() { String::new() } else { format!("{}: ", people.join(", ")) };
            out.push_str(&format!("    {of}{why}\n"));
        }
    }
    for step in steps {
        *number += 1;
        let call = step.effect.arguments();
        let shown: Vec<&str> = call.iter().skip(1).map(String::as_str).filter(|part| !part.starts_with('{')).collect();
        let named = ["--policy-document", "--assume-role-policy-document", "--inline-policy"];
        let shown: Vec<&str> = shown.into_iter().filter(|part| !named.contains(part)).collect();
        out.push_str(&format!("  {number}. {} ({})\n", shown.join(" "), step.about));
        let (before, after) = (pretty(&step.undo), pretty(&step.effect));
        if !before.is_empty() || !after.is_empty() {
            let diff = TextDiff::from_lines(&before, &after);
            let diff = diff.unified_diff().context_radius(2).to_string();
            diff.lines().for_each(|line| out.push_str(&format!("     {line}\n")));
        }
    }
}

/// The document of a call, a line for each of its values; empty where it has none.
fn pretty(effect: &Effect) -> String {
    let document = match effect {
        Effect::PutRolePolicy { document, .. }
        | Effect::PutUserPolicy { document, .. }
        | Effect::CreatePolicy { document, .. }
        | Effect::Set(SetEffect { change: SetChange::PutInlinePolicyToPermissionSet { document }, .. }) => document,
        Effect::CreateRole { trust, .. } => trust,
        _ => return String::new(),
    };
    let value: Option<serde_json::Value> = serde_json::from_str(document).ok();
    let text = value.and_then(|value| serde_json::to_string_pretty(&value).ok());
    format!("{}\n", text.unwrap_or_else(|| document.clone()))
}
