//! Ways to look at recommendations: one explained, one person's access in wrong hands, narrowed policies, a page.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::catalog::ActionSet;
use crate::cli::context::CommandError;
use crate::cli::exit::Status;
use crate::compare::{self, ActionVerdicts, holders::permission_set_of};
use crate::lake::Reader;
use crate::model::table::{Cell, Table};
use crate::recommend::explain::{self, Call};
use crate::recommend::phished::{self, Victim};
use crate::recommend::{Advice, Recommendation, after, managed, week};
use crate::report::{self, Folder, Sink, StandingInputs, UseOfWeek};

use super::{Told, views};

/// Most recorded calls that an explanation shows, the latest.
const CALLS: usize = 30;
/// Most AWS managed policies that are proposed in place of others.
const CANDIDATES: usize = 3;

impl Told<'_> {
    fn verdicts(&self, wanted: &BTreeSet<&str>) -> Vec<ActionVerdicts> {
        compare::action_verdicts(&self.world.inputs(), |arn| wanted.contains(arn))
    }

    /// `--explain ID`.
    pub(super) fn explain(&self, reader: &Reader, id: &str) -> Result<Status, CommandError> {
        let found: Vec<&Recommendation> = self.all.rows.iter().filter(|row| row.id.starts_with(id)).collect();
        let row = match found.as_slice() {
            [one] => *one,
            [] => {
                return Err(CommandError::Usage(format!(
                    "there is no recommendation `{id}`: see `jitscan recommend --format csv`"
                )));
            }
            many => {
                return Err(CommandError::Usage(format!("`{id}` begins the ids of {} recommendations", many.len())));
            }
        };
        let granted = self.world.entitlements.of(&row.principal).next();
        let calls = match granted {
            Some(granted) => self.calls(reader, row, &after::actions_of(row, &granted.granted, self.world.catalog))?,
            None => Vec::new(),
        };
        let verdicts = self.verdicts(&[row.principal.as_str()].into());
        let hours = self.inputs.settings.hours;
        let lines = explain::explain(row, granted, verdicts.first(), &calls, hours, self.world.catalog);
        let who =
            if row.person.is_empty() { row.principal.clone() } else { format!("{} ({})", row.person, row.principal) };
        self.context.note(&format!("{} {}: {}", row.id, row.capability, who));
        self.context.emit(&self.meta("recommend --explain"), &views::explain_table(&lines))?;
        Ok(Status::Done)
    }

    /// The latest recorded calls of a row's holder that need one of the actions, in the window.
    fn calls(&self, reader: &Reader, row: &Recommendation, actions: &ActionSet) -> Result<Vec<Call>, CommandError> {
        let (catalog, window) = (self.world.catalog, self.inputs.assessment.window);
        let shapes = reader.shapes_of(&|source, name, variant| {
            catalog.event(source, name, variant).certain().any(|action| actions.contains(action.id))
        })?;
        let mut calls = BTreeSet::new();
        for (key, fact) in shapes {
            let Some(actor) = self.world.actors.get(&key.session) else { continue };
            let person = actor.sure_person().filter(|_| actor.own_act).unwrap_or_default();
            let own = actor.principal == row.principal && person == row.person;
            // The example is the first of its kind, and may lie before the window in which others like it do.
            let within = fact.last >= window.from && fact.first < window.to;
            if !own || !key.outcome.supports_use() || !within {
                continue;
            }
            calls.insert(Call {
                at: fact.example_time,
                id: fact.example,
                name: format!("{} {}", key.source, key.name),
                resources: key.resources,
                like_it: fact.count,
            });
        }
        let older = calls.len().saturating_sub(CALLS);
        Ok(calls.into_iter().skip(older).collect())
    }

    /// `--phished PERSON`.
    pub(super) fn phished(&self, person: &str) -> Result<Status, CommandError> {
        let rows: Vec<&Recommendation> = self.all.rows.iter().filter(|row| row.person == person).collect();
        if rows.is_empty() {
            return Err(CommandError::Usage(format!(
                "`{person}` holds nothing: expected a person's id, name or e-mail"
            )));
        }
        let verdicts = self.verdicts(&rows.iter().map(|row| row.principal.as_str()).collect());
        let victim = Victim { rows, verdicts: &verdicts, survey: self.survey, techniques: self.techniques };
        let measures = phished::phished(self.inputs, &victim);
        let people = self.context.is_for_people();
        let table = if people { views::short_phished(&measures) } else { views::phished_table(&measures) };
        self.context.emit(&self.meta("recommend --phished"), &table)?;
        self.context.note(&format!(
            "What somebody with the sign-in of {person} could reach and do: now, after what `recommend` advises, and of the \
             rest what they would have to ask another person for."
        ));
        Ok(Status::Done)
    }

    /// `--policies`.
    pub(super) fn policies(&self, chosen: &[&Recommendation]) -> Result<Status, CommandError> {
        let principals: BTreeSet<&str> = chosen.iter().map(|row| row.principal.as_str()).collect();
        let verdicts = self.verdicts(&principals);
        let mut rows = Vec::new();
        for verdicts in &verdicts {
            rows.extend(self.policies_of(verdicts));
        }
        let mut table = Table { columns: views::policies_columns(), rows };
        if self.context.is_for_people() {
            table = views::short_policies(&table);
        }
        self.context.emit(&self.meta("recommend --policies"), &table)?;
        Ok(Status::Done)
    }

    fn policies_of(&self, verdicts: &ActionVerdicts) -> Vec<Vec<Cell>> {
        let catalog = self.world.catalog;
        let Some(granted) = self.world.entitlements.of(&verdicts.arn).find(|one| one.id == verdicts.id) else {
            return Vec::new();
        };
        // What one of its holders keeps stays in the policy that all of them share.
        let rows: Vec<&Recommendation> = self.all.rows.iter().filter(|row| row.principal == verdicts.arn).collect();
        if rows.iter().all(|row| matches!(row.advice, Advice::KeepStanding | Advice::DecideLater)) {
            return Vec::new();
        }
        let mut by_person: BTreeMap<&str, Vec<&Recommendation>> = BTreeMap::new();
        rows.iter().for_each(|row| by_person.entry(&row.person).or_default().push(row));
        let mut keep = catalog.no_actions();
        for rows in by_person.into_values() {
            keep.union_with(&after::standing(rows, &granted.granted, verdicts, false, catalog));
        }
        let changes = after::policies(&self.world.snapshot, &verdicts.arn, &keep, catalog).unwrap_or_default();
        let name = verdicts.arn.rsplit('/').next().unwrap_or_default();
        let through = permission_set_of(name).map(|set| format!("permission set {set}")).unwrap_or_default();
        let holders = |arn: &str| if arn.is_empty() { 1 } else { self.holders(granted.account, arn) };
        let changed =
            changes.iter().filter_map(|change| Some((change, change.after.as_ref().filter(|one| one.changed)?)));
        let candidates = |json: &str| {
            let found = managed::instead_of(json, &keep, granted.arn.partition(), catalog);
            let told = |one: &managed::Candidate| {
                format!("{} ({} actions, {} more than is left)", one.arn, one.actions, one.more)
            };
            found.iter().take(CANDIDATES).map(told).collect::<Vec<_>>()
        };
        changed
            .map(|(change, narrowed)| {
                let document = narrowed.json.clone().unwrap_or_default();
                vec![
                    verdicts.arn.as_str().into(),
                    through.as_str().into(),
                    change.name.as_str().into(),
                    change.arn.as_str().into(),
                    holders(&change.arn).into(),
                    narrowed.before.into(),
                    narrowed.after.into(),
                    document.chars().filter(|c| !c.is_whitespace()).count().into(),
                    narrowed.closed.into(),
                    document.into(),
                    candidates(&change.json).into(),
                ]
            })
            .collect()
    }

    /// Users, groups and roles of an account to which a managed policy is attached.
    fn holders(&self, account: crate::model::arn::AccountId, arn: &str) -> usize {
        let Some(iam) = self.world.snapshot.accounts.get(&account) else { return 0 };
        let users = iam.users.iter().map(|user| &user.holder.attached);
        let all = users
            .chain(iam.roles.iter().map(|role| &role.holder.attached))
            .chain(iam.groups.iter().map(|g| &g.attached));
        all.filter(|attached| attached.iter().any(|one| one.arn == arn)).count()
    }

    /// `--html FILE`.
    pub(super) fn page(&self, chosen: &[&Recommendation], path: &Path) -> Result<(), CommandError> {
        let (world, hours) = (self.world, self.inputs.settings.hours);
        let weeks = week::weeks(&self.all.rows, hours);
        let weeks: Vec<UseOfWeek<'_>> = weeks
            .iter()
            .take(WEEKS)
            .map(|one| UseOfWeek {
                capability: &one.capability,
                holders: one.holders,
                sessions: one.sessions,
                hours: &one.hours,
            })
            .collect();
        let offset =
            if hours.offset_minutes == 0 { String::new() } else { format!(" {:+} minutes", hours.offset_minutes) };
        let page = report::standing(&StandingInputs {
            recommendations: self.all,
            rows: chosen,
            weeks: &weeks,
            window: self.inputs.assessment.window,
            as_of: world.as_of,
            generation: world.generation,
            snapshot: &world.snapshot.hash,
            catalogue: world.catalog.version(),
            coverage: &world.coverage_line(),
            hours: &format!("Monday to Friday, {} to {} UTC{offset}", hours.from, hours.to),
            gaps: &self.inputs.assessment.gaps,
            tool_version: env!("CARGO_PKG_VERSION"),
            command: &format!("jitscan recommend --html FILE --as-of {}", world.as_of),
        });
        let text = report::render_standing(&page).map_err(|error| CommandError::Failed(error.to_string()))?;
        let name = path.file_name().and_then(|name| name.to_str());
        let name =
            name.ok_or_else(|| CommandError::Usage(format!("{}: expected the name of a file", path.display())))?;
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let failed = |source| CommandError::File { path: path.display().to_string(), source };
        Folder(folder.to_owned()).put(name, self.context.unnamed(&text).as_bytes()).map_err(failed)
    }
}

/// Most calendars on a page.
const WEEKS: usize = 12;
