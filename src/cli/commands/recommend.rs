//! `jitscan recommend`: what to do about standing access.

mod views;
mod ways;

use std::collections::{BTreeMap, BTreeSet};
use std::mem::ManuallyDrop;

use crate::catalog::Glob;
use crate::cli::args::RecommendArgs;
use crate::cli::commands::open;
use crate::cli::context::{CommandError, Context};
use crate::cli::exit::Status;
use crate::cli::output::Meta;
use crate::cli::pipeline::World;
use crate::compare::assessment::Assessment;
use crate::compare::{self, holders::permission_set_of};
use crate::entitlements::AccessClass;
use crate::lake::Reader;
use crate::model::table::{Cell, Column, ColumnKind, Made, Table};
use crate::recommend::automation::{self, Routine};
use crate::recommend::capability::{self, Environments};
use crate::recommend::combinations::{self, Held};
use crate::recommend::escalation::{self, Survey, Technique};
use crate::recommend::scope::Sensitivity;
use crate::recommend::times::WorkingHours;
use crate::recommend::{self, Advice, Disregard, Inputs, Recommendation, Recommendations, Settings, week};

pub use views::{
    automation_columns, combination_columns, curve_columns, explain_columns, phished_columns, policies_columns,
    weeks_columns,
};

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
/// Most names that a cell lists.
const LISTED: usize = 20;
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
        Column::new("resources", List, "on what it is granted, as policies name it; * is everything; the first 20"),
        Column::new("reaches", Integer, "resources that are known among them"),
        Column::new("sensitive", List, "of these, those with names of what is worth stealing; the first 20"),
        Column::new("touched", List, "resources that the holder used in the window; the first 20"),
        Column::new("touched_count", Integer, "how many"),
        Column::new("sessions", Integer, "sessions of own use in the window; pauses of an hour end them"),
        Column::new("rhythm", Text, "whether sessions come at regular times; only with --person"),
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

/// Runs it.
///
/// # Errors
/// When the store cannot be read, or what was asked for is not there.
pub fn run(context: &Context<'_>, args: &RecommendArgs) -> Result<Status, CommandError> {
    let reader = open(context)?;
    let (world, assessment) = loaded(context, &reader)?;
    let (window, times) = (world.coverage.window(), &world.activity.times);
    let settings = settings(context, args);
    let person = |text: &String| person(&world, text);
    let of_person = args.person.as_ref().map(person);
    let is_of = |person: &str| of_person.as_ref().is_none_or(|wanted| wanted == person);
    if args.automation {
        let found = automation::routines(times, window.from, settings.hours, world.catalog);
        let found: Vec<&Routine> = found.iter().filter(|one| is_of(&one.person)).collect();
        context.emit(&world.meta("recommend --automation", world.gaps.clone()), &views::automation_table(&found))?;
        return Ok(Status::Done);
    }
    let gaps = || assessment.gaps.clone();
    if args.combinations {
        let management = world.snapshot.organization.as_ref().map(|organization| organization.management_account);
        let known = views::known(context)?;
        let held = combinations::held(&assessment, &world.entitlements, &known, management, world.catalog);
        let held: Vec<&Held> = held.iter().filter(|one| is_of(&one.person)).collect();
        context.emit(&world.meta("recommend --combinations", gaps()), &views::combinations_table(&held))?;
        return Ok(Status::Done);
    }
    tell(context, &reader, (&world, &assessment, &settings), |told| {
        if args.curve || args.weeks {
            return told.together(args.curve);
        }
        if let Some(id) = &args.explain {
            return told.explain(&reader, id);
        }
        if let Some(text) = &args.phished {
            return told.phished(&person(text));
        }
        let rows = told.all.rows.iter();
        let chosen: Vec<&Recommendation> = rows.filter(|row| wanted(args, row) && is_of(&row.person)).collect();
        if args.policies {
            return told.policies(&chosen);
        }
        if let Some(path) = &args.html {
            told.page(&chosen, path)?;
        }
        told.list(&chosen, of_person.is_some())
    })
}

/// Recommends from a store, and tells it in some way.
///
/// # Errors
/// When the store cannot be read, or telling fails.
pub(super) fn told<T>(
    context: &Context<'_>,
    reader: &Reader,
    args: &RecommendArgs,
    tell_it: impl FnOnce(&Told<'_>) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    let (world, assessment) = loaded(context, reader)?;
    tell(context, reader, (&world, &assessment, &settings(context, args)), tell_it)
}

/// What is loaded goes with the process: giving back millions of small values would take longer than writing them out.
fn loaded(context: &Context<'_>, reader: &Reader) -> Result<(ManuallyDrop<World>, Assessment), CommandError> {
    let world = ManuallyDrop::new(World::load_with_times(context, reader, HISTORY_DAYS)?);
    let mut assessment = compare::assess(&world.inputs());
    assessment.gaps.extend(world.gaps.iter().cloned());
    assessment.gaps.sort();
    Ok((world, assessment))
}

fn tell<T>(
    context: &Context<'_>,
    reader: &Reader,
    (world, assessment, settings): (&World, &Assessment, &Settings),
    tell_it: impl FnOnce(&Told<'_>) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    let techniques = super::escalations::techniques(context)?;
    let survey = escalation::survey(&world.snapshot, &techniques, world.catalog, world.as_of);
    let escalating = survey.paths.iter().filter(|path| path.sure).map(|path| path.principal.clone()).collect();
    let inputs = Inputs {
        assessment,
        snapshot: &world.snapshot,
        times: &world.activity.times,
        catalog: world.catalog,
        entitlements: &world.entitlements,
        activity: &world.activity,
        logged_from: reader.event_span().map(|span| span.from),
        escalating: &escalating,
        chains: &survey.accounts(),
        settings,
    };
    let all = ManuallyDrop::new(recommend::recommend(&inputs));
    tell_it(&Told { context, world, inputs: &inputs, all: &all, techniques: &techniques, survey: &survey })
}

/// The person of an id, e-mail address or user name, or of a name that only one in the roster has; else what was said.
fn person(world: &World, text: &str) -> String {
    let called = || {
        let mut found = world.snapshot.roster.iter().filter(|entry| entry.name.eq_ignore_ascii_case(text.trim()));
        found.next().filter(|_| found.next().is_none()).and_then(|entry| world.people.named(&entry.id))
    };
    world.people.named(text).or_else(called).unwrap_or(text).to_owned()
}

/// What is told in one way or another.
pub(super) struct Told<'a> {
    context: &'a Context<'a>,
    pub(super) world: &'a World,
    pub(super) inputs: &'a Inputs<'a>,
    pub(super) all: &'a Recommendations,
    techniques: &'a [Technique],
    survey: &'a Survey,
}

impl Told<'_> {
    /// What is told of everybody together: the trade-off, or use over the week.
    fn together(&self, curve: bool) -> Result<Status, CommandError> {
        if curve {
            self.context.emit(&self.meta("recommend --curve"), &views::curve(self.all))?;
        } else {
            let weeks = week::weeks(&self.all.rows, self.inputs.settings.hours);
            let table = views::weeks_table(&weeks, self.context.is_for_people());
            self.context.emit(&self.meta("recommend --weeks"), &table)?;
        }
        Ok(Status::Done)
    }

    /// The person whom a text means.
    pub(super) fn person(&self, text: &str) -> String {
        person(self.world, text)
    }

    pub(super) fn meta(&self, command: &str) -> Meta {
        self.world.meta(command, self.inputs.assessment.gaps.clone())
    }

    /// The list itself; a person's own times only where that person was asked for.
    fn list(&self, chosen: &[&Recommendation], of_person: bool) -> Result<Status, CommandError> {
        let (context, meta) = (self.context, self.meta("recommend"));
        if context.is_for_people() {
            let briefs = briefs(chosen);
            context.emit(&meta, &for_people(&briefs))?;
            if briefs.len() > SHOWN {
                let more = briefs.len() - SHOWN;
                context.note(&format!("{more} more lines: choose with --person, --principal or --advice"));
            }
        } else {
            let make = |at: usize| chosen.get(at).map(|row| cells(row, of_person)).unwrap_or_default();
            context.emit(&meta, &Made { columns: columns(), count: chosen.len(), make: &make })?;
        }
        context.note(&summary(self.all));
        Ok(Status::Done)
    }
}

fn settings(context: &Context<'_>, args: &RecommendArgs) -> Settings {
    let globs = |patterns: &[String]| patterns.iter().map(|pattern| Glob::new(pattern)).collect();
    let config = &context.config;
    let hours = config.working_hours;
    let disregard =
        |one: &crate::cli::config::Disregard| Disregard { who: Glob::new(&one.who), from: one.from, to: one.to };
    Settings {
        environments: Environments {
            production: globs(&config.environments.production),
            non_production: globs(&config.environments.non_production),
        },
        hours: WorkingHours { from: hours.from, to: hours.to, offset_minutes: hours.offset_minutes },
        sensitivity: Sensitivity { patterns: globs(&config.sensitive_resources) },
        disregarded: config.disregard.iter().map(disregard).collect(),
        budget: args.friction_budget,
    }
}

fn wanted(args: &RecommendArgs, row: &Recommendation) -> bool {
    args.principal.as_ref().is_none_or(|text| row.principal.contains(text.as_str()))
        && (args.advice.is_empty() || args.advice.iter().any(|arg| arg.advice() == row.advice))
}

fn cells(row: &Recommendation, of_person: bool) -> Vec<Cell> {
    let rhythm = row.rhythm.as_ref().filter(|_| of_person).map(ToString::to_string).unwrap_or_default();
    let some = |names: &mut dyn Iterator<Item = &str>| names.take(LISTED).map(str::to_owned).collect::<Vec<_>>();
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
        some(&mut row.reach.named.iter().map(String::as_str)).into(),
        row.reach.known.len().into(),
        some(&mut row.reach.sensitive.iter().map(|name| &**name)).into(),
        some(&mut row.touched.iter().map(String::as_str)).into(),
        row.touched.len().into(),
        row.sessions.into(),
        rhythm.into(),
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

/// A line for people: what is advised of a kind of access that somebody, or several, hold through one principal.
struct Brief<'a> {
    first: &'a Recommendation,
    people: Vec<&'a str>,
    /// Services of capabilities that nobody used are told together.
    services: BTreeSet<&'a str>,
    together: bool,
    removed: u64,
}

/// What is unused of one person's is one line, and what is the same of several people too.
fn briefs<'a>(rows: &[&'a Recommendation]) -> Vec<Brief<'a>> {
    let mut found: Vec<Brief<'_>> = Vec::new();
    let mut at: BTreeMap<(Advice, &str, &str, AccessClass), usize> = BTreeMap::new();
    for row in rows {
        let key = (row.advice, row.principal.as_str(), row.person.as_str(), row.class);
        if let Some(known) = at.get(&key).filter(|_| row.sessions == 0).and_then(|at| found.get_mut(*at)) {
            known.services.extend(row.services.iter().map(String::as_str));
            known.removed += row.removed();
            known.together = true;
            continue;
        }
        if row.sessions == 0 {
            at.insert(key, found.len());
        }
        let people = vec![row.person.as_str()];
        let services = row.services.iter().map(String::as_str).collect();
        found.push(Brief { first: row, people, services, together: false, removed: row.removed() });
    }
    let mut out: Vec<Brief<'_>> = Vec::new();
    let mut alike: BTreeMap<(Advice, &str, AccessClass, BTreeSet<&str>, &str), usize> = BTreeMap::new();
    for brief in found {
        let row = brief.first;
        let why = row.why.first().map_or("", String::as_str);
        let key = (row.advice, row.principal.as_str(), row.class, brief.services.clone(), why);
        match alike.get(&key).filter(|_| row.sessions == 0).and_then(|at| out.get_mut(*at)) {
            Some(known) => {
                known.removed += brief.removed;
                known.people.extend(brief.people);
            }
            None => {
                alike.insert(key, out.len());
                out.push(brief);
            }
        }
    }
    out.sort_by_key(|brief| std::cmp::Reverse(brief.removed));
    out
}

/// Most people whom a line names.
const NAMED: usize = 2;

/// A table that people can read: what, who, why, and what it brings.
fn for_people(briefs: &[Brief<'_>]) -> Table {
    use ColumnKind::{Integer, Text};
    let columns = vec![
        Column::new("advice", Text, ""),
        Column::new("who", Text, ""),
        Column::new("capability", Text, ""),
        Column::new("removes", Integer, ""),
        Column::new("why", Text, ""),
    ];
    let cells = |brief: &Brief<'_>| {
        let row = brief.first;
        let name = row.principal.rsplit(['/', ':']).next().unwrap_or_default();
        let name = permission_set_of(name).unwrap_or(name);
        let short = |person: &&str| person.split('@').next().unwrap_or_default().to_owned();
        let mut who = brief.people.iter().take(NAMED).map(short).collect::<Vec<_>>().join(", ");
        if brief.people.len() > NAMED {
            who.push_str(&format!(" and {} more", brief.people.len() - NAMED));
        }
        let who = if row.person.is_empty() { name.to_owned() } else { format!("{who} ({name})") };
        let place = row.capability.rsplit_once(" in ").map_or("", |(_, place)| place);
        let capability = if brief.together {
            let services: Vec<String> = brief.services.iter().map(|one| (*one).to_owned()).collect();
            format!("{} in {place}", capability::words(row.class, &services))
        } else {
            row.capability.clone()
        };
        vec![
            row.advice.as_str().replace('_', " ").into(),
            who.into(),
            capability.into(),
            brief.removed.into(),
            row.why.join("; ").into(),
        ]
    };
    Table { columns, rows: briefs.iter().take(SHOWN).map(cells).collect() }
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
