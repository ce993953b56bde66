//! `jitscan recommend`: what to do about standing access.

use std::collections::BTreeMap;

use crate::catalog::Glob;
use crate::cli::args::{AdviceArg, RecommendArgs};
use crate::cli::commands::open;
use crate::cli::context::{CommandError, Context};
use crate::cli::exit::Status;
use crate::cli::pipeline::World;
use crate::compare::{self, holders::permission_set_of};
use crate::model::table::{Cell, Column, ColumnKind, Table};
use crate::model::time::Window;
use crate::recommend::automation::{self, Routine};
use crate::recommend::capability::Environments;
use crate::recommend::combinations::{self, Combination, Held};
use crate::recommend::escalation;
use crate::recommend::times::WorkingHours;
use crate::recommend::{self, Advice, Inputs, Recommendation, Recommendations, Settings};

/// What `recommend --help` says at its end.
pub const HELP: &str = "\
A capability is a kind of access to a service in an account, such as \"write rds in production (shop)\"; services that \
nobody used stand together. Its risk is the product of its parts, which are shown with it; exposure is hours held a week \
times risk. Friction is counted, not guessed: every five-minute slot of use in which no grant would have been open is a \
request, with the shortest grant of 1, 2, 4, 8 or 12 hours that outlasts 80% of the sessions of use. Going through a \
dozen services within fifteen minutes does not count as need. What was used before the window, or what IAM saw attempted \
then, is not removed. What the logs could not show is decided later.

Which accounts are production is read from their names, or from [environments] in jitscan.toml; working hours are Monday \
to Friday, 8 to 18 UTC, or those of [working_hours].";

/// How far before the window use is looked at: a year's work and what may be late, in days.
const HISTORY_DAYS: i64 = 400;
/// Most rows that people see at once.
const SHOWN: usize = 60;

/// Columns.
#[must_use]
pub fn columns() -> Vec<Column> {
    use ColumnKind::{Boolean, Integer, List, Text, Time};
    vec![
        Column::new("id", Text, "stable across runs"),
        Column::new("advice", Text, "remove, convert_to_jit, shrink, decide_later or keep_standing"),
        Column::new("capability", Text, "what is held, in words"),
        Column::new("person", Text, "who holds it; empty for programs and where nobody is known"),
        Column::new("principal", Text, "ARN of the principal through which it is held"),
        Column::new("account", Text, "the account"),
        Column::new("class", Text, "read, sensitive_read, write or permissions"),
        Column::new("services", List, "prefixes of its services"),
        Column::new("confidence", Text, "low, medium or high"),
        Column::new("why", List, "reasons, with what is missing where it cannot be decided"),
        Column::new("granted", Integer, "actions that are granted"),
        Column::new("used", Integer, "of these, used by somebody through the principal"),
        Column::new("sessions", Integer, "sessions of own use in the window; pauses of an hour end them"),
        Column::new("active_days", Integer, "days with own use"),
        Column::new("duty_permille", Integer, "share of working time with own use, in thousandths"),
        Column::new("last", Time, "last own use, also before the window"),
        Column::new("requests", Integer, "requests that just-in-time would have cost in the window"),
        Column::new("requests_per_week_hundredths", Integer, "the same a week, in hundredths"),
        Column::new("out_of_hours", Integer, "of the requests, outside working hours"),
        Column::new("grant_minutes", Integer, "length of a grant that fits most sessions"),
        Column::new("at_least", Boolean, "some of the use may not have been logged: there may be more requests"),
        Column::new("approver", Text, "who would approve: the manager in the roster"),
        Column::new("risk", Integer, "risk of holding it"),
        Column::new("risk_parts", List, "what the risk is the product of"),
        Column::new("exposure_before", Integer, "hours held a week times risk, as it stands"),
        Column::new("exposure_after", Integer, "the same after what is advised"),
    ]
}

/// Columns of `recommend --curve`.
#[must_use]
pub fn curve_columns() -> Vec<Column> {
    use ColumnKind::Integer;
    vec![
        Column::new("budget_hundredths", Integer, "requests a week that one person makes at most, in hundredths"),
        Column::new("conversions", Integer, "capabilities that become just-in-time"),
        Column::new("requests_hundredths", Integer, "requests a week of everybody together, in hundredths"),
        Column::new("removed_permille", Integer, "share of all exposure that is removed, in thousandths"),
    ]
}

/// Columns of `recommend --combinations`.
#[must_use]
pub fn combination_columns() -> Vec<Column> {
    use ColumnKind::{List, Text};
    vec![
        Column::new("combination", Text, "id of the combination"),
        Column::new("title", Text, "what both sides make possible"),
        Column::new("person", Text, "who holds both; empty for programs and where nobody is known"),
        Column::new("account", Text, "where"),
        Column::new("left", List, "actions of the one side, with the principal through which they are held"),
        Column::new("right", List, "actions of the other side"),
        Column::new("why", Text, "what can be done with both"),
    ]
}

/// Columns of `recommend --automation`.
#[must_use]
pub fn automation_columns() -> Vec<Column> {
    use ColumnKind::{Integer, List, Text, Time};
    vec![
        Column::new("person", Text, "who does it by hand"),
        Column::new("principal", Text, "through which principal"),
        Column::new("actions", List, "the changes of such a session"),
        Column::new("times", Integer, "sessions with exactly these changes"),
        Column::new("every_days", Integer, "days from one to the next, the median"),
        Column::new("punctual_tenths", Integer, "of ten so many within two hours of the usual time of day"),
        Column::new("weekday", Text, "the weekday of at least half of them"),
        Column::new("first", Time, "the first"),
        Column::new("last", Time, "the last"),
    ]
}

/// The combinations that come with the program, and those of the configuration.
fn known(context: &Context<'_>) -> Result<Vec<Combination>, CommandError> {
    let mut all = combinations::known();
    for path in &context.config.combinations {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| CommandError::File { path: name.clone(), source })?;
        all.extend(combinations::parse(&text).map_err(|reason| CommandError::Failed(format!("{name}: {reason}")))?);
    }
    Ok(all)
}

fn combinations_table(held: &[&Held]) -> Table {
    let row = |one: &&Held| {
        vec![
            one.combination.as_str().into(),
            one.title.as_str().into(),
            one.person.as_str().into(),
            one.account.as_str().into(),
            one.left.clone().into(),
            one.right.clone().into(),
            one.why.as_str().into(),
        ]
    };
    Table { columns: combination_columns(), rows: held.iter().map(row).collect() }
}

fn automation_table(found: &[&Routine]) -> Table {
    let row = |one: &&Routine| {
        vec![
            one.person.as_str().into(),
            one.principal.as_str().into(),
            one.actions.clone().into(),
            one.times.into(),
            one.every_days.into(),
            one.punctual_tenths.into(),
            one.weekday.as_str().into(),
            one.first.into(),
            one.last.into(),
        ]
    };
    Table { columns: automation_columns(), rows: found.iter().map(row).collect() }
}

/// Runs it.
///
/// # Errors
/// When the store cannot be read.
pub fn run(context: &Context<'_>, args: &RecommendArgs) -> Result<Status, CommandError> {
    let reader = open(context)?;
    let world = World::load(context, &reader)?;
    let window = world.coverage.window();
    let times =
        world.times(&reader, Window { from: window.to.plus_days(-HISTORY_DAYS).min(window.from), to: window.to })?;
    drop(reader);
    let mut assessment = compare::assess(&world.inputs());
    assessment.gaps.extend(world.gaps.iter().cloned());
    assessment.gaps.sort();
    if args.combinations {
        let held = combinations::held(&assessment, &world.entitlements, &known(context)?, world.catalog);
        let held: Vec<&Held> =
            held.iter().filter(|one| args.person.as_ref().is_none_or(|p| one.person == *p)).collect();
        context.emit(&world.meta("recommend --combinations", assessment.gaps.clone()), &combinations_table(&held))?;
        return Ok(Status::Done);
    }
    if args.automation {
        let found = automation::routines(&times, window.from, world.catalog);
        let found: Vec<&Routine> =
            found.iter().filter(|one| args.person.as_ref().is_none_or(|p| one.person == *p)).collect();
        context.emit(&world.meta("recommend --automation", assessment.gaps.clone()), &automation_table(&found))?;
        return Ok(Status::Done);
    }
    let settings = settings(context, args);
    let paths =
        escalation::escalations(&world.snapshot, &super::escalations::techniques(context)?, world.catalog, world.as_of);
    let escalating = paths.into_iter().filter(|path| path.sure).map(|path| path.principal).collect();
    let inputs = Inputs {
        assessment: &assessment,
        snapshot: &world.snapshot,
        times: &times,
        catalog: world.catalog,
        escalating: &escalating,
        settings: &settings,
    };
    let all = recommend::recommend(&inputs);
    if args.curve {
        let meta = world.meta("recommend --curve", assessment.gaps.clone());
        context.emit(&meta, &curve(&all))?;
        return Ok(Status::Done);
    }
    let chosen: Vec<&Recommendation> = all.rows.iter().filter(|row| wanted(args, row)).collect();
    let meta = world.meta("recommend", assessment.gaps.clone());
    if context.is_for_people() {
        context.emit(&meta, &for_people(&chosen))?;
        if chosen.len() > SHOWN {
            context.note(&format!("{} more rows: choose with --person, --principal or --advice", chosen.len() - SHOWN));
        }
    } else {
        let rows = chosen.iter().map(|row| cells(row)).collect();
        context.emit(&meta, &Table { columns: columns(), rows })?;
    }
    context.note(&summary(&all));
    Ok(Status::Done)
}

fn settings(context: &Context<'_>, args: &RecommendArgs) -> Settings {
    let globs = |patterns: &[String]| patterns.iter().map(|pattern| Glob::new(pattern)).collect();
    let config = &context.config;
    let hours = config.working_hours;
    Settings {
        environments: Environments {
            production: globs(&config.environments.production),
            non_production: globs(&config.environments.non_production),
        },
        hours: WorkingHours { from: hours.from, to: hours.to, offset_minutes: hours.offset_minutes },
        budget: args.friction_budget,
    }
}

fn wanted(args: &RecommendArgs, row: &Recommendation) -> bool {
    let advice = |arg: &AdviceArg| match arg {
        AdviceArg::Remove => Advice::Remove,
        AdviceArg::ConvertToJit => Advice::ConvertToJit,
        AdviceArg::Shrink => Advice::Shrink,
        AdviceArg::DecideLater => Advice::DecideLater,
        AdviceArg::KeepStanding => Advice::KeepStanding,
    };
    args.principal.as_ref().is_none_or(|text| row.principal.contains(text.as_str()))
        && args.person.as_ref().is_none_or(|person| row.person == *person)
        && (args.advice.is_empty() || args.advice.iter().any(|arg| advice(arg) == row.advice))
}

fn cells(row: &Recommendation) -> Vec<Cell> {
    vec![
        row.id.as_str().into(),
        row.advice.as_str().into(),
        row.capability.as_str().into(),
        row.person.as_str().into(),
        row.principal.as_str().into(),
        row.account.as_str().into(),
        row.class.as_str().into(),
        row.services.clone().into(),
        row.confidence.as_str().into(),
        row.why.clone().into(),
        row.granted.into(),
        row.used.into(),
        row.sessions.into(),
        row.active_days.into(),
        row.duty_permille.into(),
        row.last.into(),
        row.friction.requests.into(),
        row.friction.per_week_hundredths().into(),
        row.friction.out_of_hours.into(),
        row.friction.grant_minutes.into(),
        row.friction.at_least.into(),
        row.approver.as_str().into(),
        row.risk.score.into(),
        row.risk.parts.clone().into(),
        row.exposure_before.into(),
        row.exposure_after.into(),
    ]
}

/// A table that people can read: what, who, why, and what it brings.
fn for_people(rows: &[&Recommendation]) -> Table {
    use ColumnKind::{Integer, Text};
    let columns = vec![
        Column::new("advice", Text, ""),
        Column::new("who", Text, ""),
        Column::new("capability", Text, ""),
        Column::new("removes", Integer, ""),
        Column::new("why", Text, ""),
    ];
    let cells = |row: &&Recommendation| {
        let name = row.principal.rsplit(['/', ':']).next().unwrap_or_default();
        let name = permission_set_of(name).unwrap_or(name);
        let who = if row.person.is_empty() { name.to_owned() } else { format!("{} ({name})", row.person) };
        vec![
            row.advice.as_str().replace('_', " ").into(),
            who.into(),
            row.capability.as_str().into(),
            row.removed().into(),
            row.why.join("; ").into(),
        ]
    };
    Table { columns, rows: rows.iter().take(SHOWN).map(cells).collect() }
}

fn curve(all: &Recommendations) -> Table {
    let row = |point: &recommend::Point| {
        [point.budget_hundredths, point.conversions, point.requests_hundredths, point.removed_permille]
            .map(Cell::from)
            .to_vec()
    };
    Table { columns: curve_columns(), rows: all.curve.iter().map(row).collect() }
}

/// Hundredths as a decimal.
fn decimal(hundredths: u64) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn summary(all: &Recommendations) -> String {
    let mut counts: BTreeMap<Advice, usize> = BTreeMap::new();
    for row in &all.rows {
        *counts.entry(row.advice).or_default() += 1;
    }
    let counts: Vec<String> =
        counts.iter().map(|(advice, n)| format!("{n} {}", advice.as_str().replace('_', " "))).collect();
    let share = |removed: u64| removed.saturating_mul(100) / all.exposure_before.max(1);
    let load = all.load();
    let mut out = format!(
        "{}\nexposure {} -> {}: {}% removed, {}% by converting what the logs could not fully have shown\nfriction: {} \
         requests a week, {} of {} in the window outside working hours",
        counts.join(", "),
        all.exposure_before,
        all.exposure_after,
        share(all.exposure_before.saturating_sub(all.exposure_after)),
        share(all.removed_without_sight()),
        decimal(load.per_week_hundredths),
        load.out_of_hours,
        load.requests,
    );
    if let Some((approver, most)) = load.approvers.iter().max_by(|a, b| a.1.cmp(b.1).then_with(|| b.0.cmp(a.0))) {
        out.push_str(&format!("; most for one approver: {} a week ({approver})", decimal(*most)));
    }
    if all.forecast.proposals > 0 {
        let forecast = all.forecast;
        out.push_str(&format!(
            "\nforecast, learned on two thirds of the window and counted on the last: {} foreseen, {} counted; error {} a \
             proposal",
            decimal(forecast.foreseen_hundredths),
            forecast.counted,
            decimal(forecast.error_hundredths / forecast.proposals)
        ));
    }
    out
}
