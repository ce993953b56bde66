//! Tables for `jitscan catalog action|event|events`. Pure: text in, typed tables out.

use crate::model::table::{Cell, Column, ColumnKind, Table};

use super::event::{EventFact, EventFacts};
use super::{Catalog, Need, When};

/// A line of `catalog events --stdin` that is not `SOURCE NAME`.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line}: expected `SOURCE NAME`, such as `s3.amazonaws.com GetObject`")]
pub struct EventLineError {
    /// Line number, from 1.
    pub line: usize,
}

fn column(name: &str, kind: ColumnKind, about: &str) -> Column {
    Column::new(name, kind, about)
}

fn texts<'a>(items: impl IntoIterator<Item = &'a str>) -> Cell {
    Cell::List(items.into_iter().map(str::to_owned).collect())
}

/// The actions that a pattern such as `s3:Get*` names, a row each, in the catalogue's order.
#[must_use]
pub fn actions(catalog: &Catalog, pattern: &str) -> Table {
    let columns = vec![
        column("action", ColumnKind::Text, "full name of the action"),
        column("access", ColumnKind::Text, "list, read, write, tagging or permissions_management"),
        column("class", ColumnKind::Text, "how CloudTrail records calls that exercise it"),
        column("provenance", ColumnKind::Text, "how the class is known"),
        column("resource_types", ColumnKind::List, "resource types; * marks required ones; empty: only on *"),
        column("condition_keys", ColumnKind::List, "condition keys"),
        column("dependent_actions", ColumnKind::List, "actions that a call may need in addition"),
        column("risks", ColumnKind::List, "what makes it dangerous beyond its access level"),
    ];
    let mut rows = Vec::new();
    for action in catalog.actions_matching(pattern).iter().filter_map(|id| catalog.action(id)) {
        let types =
            action.resource_types().map(|(name, required)| if required { format!("{name}*") } else { name.to_owned() });
        let dependents = action.dependent_actions().filter_map(|id| catalog.action(id)).map(|dep| dep.full_name());
        rows.push(vec![
            action.full_name().into(),
            action.access().as_str().into(),
            action.log_class().as_str().into(),
            action.provenance().as_str().into(),
            Cell::List(types.collect()),
            texts(action.condition_keys()),
            Cell::List(dependents.collect()),
            texts(action.risks().map(|risk| risk.as_str())),
        ]);
    }
    Table { columns, rows }
}

/// What is known of the events, a row each, in the given order. Unknown events have a row too.
#[must_use]
pub fn events<'a>(catalog: &Catalog, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Table {
    let columns = vec![
        column("event_source", ColumnKind::Text, "eventSource, as given"),
        column("event_name", ColumnKind::Text, "eventName, as given"),
        column("actions", ColumnKind::List, "actions that every successful call of this event exercises"),
        column("class", ColumnKind::Text, "management, data, network_activity or not_logged; null where not known"),
        column("provenance", ColumnKind::Text, "how the class is known; null where the event is not known"),
        column("conditional", ColumnKind::List, "further actions, and on which calls"),
        column("mapping", ColumnKind::Text, "mapped, none or unmapped"),
        column("reason", ColumnKind::Text, "why the event exercises no action"),
    ];
    let rows = pairs.into_iter().map(|(source, name)| event_row(catalog, source, name)).collect();
    Table { columns, rows }
}

fn event_row(catalog: &Catalog, source: &str, name: &str) -> Vec<Cell> {
    let mut row: Vec<Cell> = vec![source.into(), name.into()];
    let Some(facts) = catalog.event_facts(source, name) else {
        row.extend([texts([]), Cell::Null, Cell::Null, texts([]), "unmapped".into(), Cell::Null]);
        return row;
    };
    let full = |fact: &EventFact<'_>| catalog.action(fact.id).map_or_else(String::new, |action| action.full_name());
    // Without a version id is the ordinary call, so its actions are the event's.
    let plain = |fact: &EventFact<'_>| fact.need == Need::Always && matches!(fact.when, When::Any | When::NoVersionId);
    let sure: Vec<String> = facts.actions.iter().filter(|fact| plain(fact)).map(full).collect();
    let further = facts.actions.iter().filter(|fact| !plain(fact)).map(|fact| condition(fact, &full(fact)));
    let conditional: Vec<String> = further.chain(passed_roles(&facts)).collect();
    let (mapping, reason) =
        if facts.reason.is_empty() { ("mapped", Cell::Null) } else { ("none", facts.reason.into()) };
    row.extend([
        Cell::List(sure),
        facts.class.as_str().into(),
        facts.provenance.as_str().into(),
        Cell::List(conditional),
        mapping.into(),
        reason,
    ]);
    row
}

fn condition(fact: &EventFact<'_>, action: &str) -> String {
    let when = match fact.when {
        When::Any => "",
        When::VersionId => " with a version id",
        When::NoVersionId => " without a version id",
        When::Tags => " with tags",
    };
    let need = if fact.need == Need::Sometimes { " in some cases" } else { "" };
    let on = if fact.on.is_empty() { String::new() } else { format!(" on the {}", fact.on) };
    format!("{action}{on}{when}{need}")
}

fn passed_roles(facts: &EventFacts<'_>) -> impl Iterator<Item = String> {
    facts.roles.iter().map(|role| {
        let need = if role.need == Need::Sometimes { " in some cases" } else { "" };
        let place = if role.path.is_empty() { "any role in the request" } else { role.path };
        format!("iam:PassRole for {place} ({}){need}", role.kind.as_str())
    })
}

/// The pairs of `SOURCE NAME` lines; empty lines and lines that start with `#` are skipped.
///
/// # Errors
/// When a line has not exactly two words.
pub fn event_lines(text: &str) -> Result<Vec<(&str, &str)>, EventLineError> {
    let mut pairs = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = line.split_ascii_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some(source), Some(name), None) => pairs.push((source, name)),
            _ => return Err(EventLineError { line: at + 1 }),
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(table: &Table, row: usize) -> Vec<String> {
        let show = |cell: &Cell| match cell {
            Cell::Null => "null".to_owned(),
            Cell::List(items) => items.join(", "),
            Cell::Text(text) => text.clone(),
            other => format!("{other:?}"),
        };
        table.rows[row].iter().map(show).collect()
    }

    #[test]
    fn events_show_what_is_sure_and_what_is_not() {
        let text = "s3.amazonaws.com HeadObject\n\n# comment\nec2.amazonaws.com RunInstances\r\nx.amazonaws.com Y\n";
        let pairs = event_lines(text).unwrap();
        let table = events(Catalog::get(), pairs);
        let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names[..5], ["event_source", "event_name", "actions", "class", "provenance"]);
        let head = cells(&table, 0);
        assert_eq!(head[2..6], ["s3:GetObject", "data", "documented", "s3:GetObjectVersion with a version id"]);
        let run = cells(&table, 1);
        assert_eq!(run[2], "ec2:RunInstances");
        assert!(run[5].contains("iam:PassRole for iaminstanceprofile.arn (instance_profile)"), "{}", run[5]);
        assert!(run[5].contains("ec2:CreateTags with tags"), "{}", run[5]);
        assert_eq!(cells(&table, 2)[2..], ["", "null", "null", "", "unmapped", "null"]);
        assert_eq!(event_lines("a\n"), Err(EventLineError { line: 1 }));
        assert_eq!(event_lines("a b\na b c\n"), Err(EventLineError { line: 2 }));
    }

    #[test]
    fn actions_by_pattern() {
        let table = actions(Catalog::get(), "S3:getbucketc*");
        assert_eq!(table.rows.len(), 1);
        let row = cells(&table, 0);
        assert_eq!(row[..5], ["s3:GetBucketCORS", "read", "management", "documented", "accesspoint, bucket"]);
        assert_eq!(actions(Catalog::get(), "*").rows.len(), Catalog::get().len());
        assert!(actions(Catalog::get(), "nothing").rows.is_empty());
    }
}
