//! Who entered roles by tokens, gathered for a plan.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::args::PlanArgs;
use crate::cli::context::CommandError;
use crate::cli::pipeline::World;
use crate::compare;
use crate::lake::Reader;
use crate::model::arn::AccountId;
use crate::model::time::Timestamp;
use crate::remediate::bind::{Pipelines, doors, id_of};
use crate::remediate::trust::{self, Entries};
use crate::usage::identity::ActorKind;

/// What is known of who enters roles, with what it rests on.
pub(super) struct Gathered<'w> {
    roles: BTreeSet<&'w str>,
    entries: Entries,
    unseen: BTreeMap<String, String>,
    written: BTreeMap<String, Timestamp>,
}

impl<'w> Gathered<'w> {
    /// Of the roles that the arguments choose.
    pub(super) fn of(reader: &Reader, world: &'w World, args: &PlanArgs) -> Result<Self, CommandError> {
        let account = |arn: &str| arn.split(':').nth(4).unwrap_or_default().to_owned();
        let wanted = |arn: &&str| {
            args.person.is_none()
                && (args.id.is_empty() || args.id.iter().any(|id| id_of(arn).starts_with(id.as_str())))
                && args.account.as_ref().is_none_or(|one| account(arn) == *one)
                && args.principal.as_ref().is_none_or(|text| arn.contains(text.as_str()))
                && (args.advice.is_empty() || args.advice.iter().any(|one| one.advice().is_none()))
        };
        let roles: BTreeSet<&str> = doors(&world.snapshot).into_iter().filter(wanted).collect();
        let mut out = Self { roles, entries: Entries::new(), unseen: BTreeMap::new(), written: BTreeMap::new() };
        if out.roles.is_empty() {
            return Ok(out);
        }
        let window = world.coverage.window();
        let by_token = |session| world.actors.get(&session).is_some_and(|actor| actor.kind == ActorKind::WebIdentity);
        out.entries =
            trust::entries(&out.roles, &reader.shapes_of_sessions(&by_token, window)?, &world.sessions, window);
        let accounts: BTreeSet<AccountId> = out.roles.iter().filter_map(|arn| account(arn).parse().ok()).collect();
        let unseen = compare::entries_unseen(&world.inputs(), &accounts);
        for arn in &out.roles {
            let why = account(arn).parse().ok().and_then(|account: AccountId| unseen.get(&account));
            out.unseen.extend(why.map(|why| ((*arn).to_owned(), why.clone())));
            out.written.extend(world.changes.trusted(arn).map(|at| ((*arn).to_owned(), at)));
        }
        Ok(out)
    }

    /// Whether an id that was asked for is that of a role that can be bound.
    pub(super) fn has(&self, id: &str) -> bool {
        self.roles.iter().any(|arn| id_of(arn).starts_with(id))
    }

    pub(super) fn told(&self) -> Pipelines<'_> {
        Pipelines { roles: self.roles.clone(), entries: &self.entries, unseen: &self.unseen, written: &self.written }
    }
}
