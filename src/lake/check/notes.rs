//! What single events say beside their facts, against these events: credentials handed out, trails changed.

use super::{Check, PartKind};
use crate::lake::error::LakeError;
use crate::lake::fold::{ISSUERS, TRAIL_CALLS};
use crate::model::time::Timestamp;

/// The key by which an event is named: its id, or its content; see `Chunk::example`.
const NAMED: &str = "coalesce(event_id, 'content:' || lpad(lower(to_hex(content_core)), 16, '0')
     || lpad(lower(to_hex(content_whole)), 16, '0')) AS event_id";

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
}

impl Check<'_> {
    /// Credentials were handed out by events that are there, and every event whose response shows some is among them.
    /// Where responses were left out (`--slim`), that some were handed out is known from the credentials alone.
    pub(super) fn issued(&mut self, month: &str) -> Result<(), LakeError> {
        let of = format!("source = 'sts.amazonaws.com' AND name IN ({})", listed(&ISSUERS));
        let path = "response, '$.credentials.accessKeyId'";
        let key = format!(
            "CASE WHEN json_valid(response) THEN CASE WHEN json_type({path}) = 'VARCHAR'
                 THEN json_extract_string({path}) END END"
        );
        let events = self.noted(
            PartKind::Events,
            month,
            &format!("{NAMED}, time, session, response, outcome, {key} AS access_key"),
            &of,
            "''::VARCHAR AS event_id, NULL::TIMESTAMP AS time, 0::UBIGINT AS session, '' AS response, '' AS outcome,
             NULL::VARCHAR AS access_key",
        )?;
        let issued = self.noted(
            PartKind::Issued,
            month,
            "event_id, time, session, access_key",
            "true",
            "''::VARCHAR AS event_id, NULL::TIMESTAMP AS time, 0::UBIGINT AS session, '' AS access_key",
        )?;
        let query = format!(
            "WITH e AS ({events}), i AS ({issued}),
             w AS (SELECT event_id, time, session, access_key FROM e WHERE access_key <> ''),
             s AS (SELECT * FROM e WHERE response = '' AND outcome = 'authorised')
             SELECT (SELECT count(*) FROM i ANTI JOIN e USING (event_id, time, session)),
                 (SELECT count(*) FROM w ANTI JOIN i USING (event_id, time, session, access_key)),
                 (SELECT count(*) FROM i SEMI JOIN e USING (event_id, time, session) ANTI JOIN w USING (event_id)
                  ANTI JOIN s USING (event_id)),
                 (SELECT count(*) FROM s), (SELECT count(*) FROM i)"
        );
        let [stray, missing, silent, slim, known] = self.sql.integers(&query, self.store)?;
        let kind = PartKind::Issued.as_str();
        for (count, what) in [
            (stray, "credentials were handed out by events that are not there"),
            (missing, "events show credentials that are not listed"),
            (silent, "credentials are of events that show none"),
        ] {
            if count > 0 {
                self.report.bad(kind, month, format!("{count} {what}"));
            }
        }
        if slim > 0 && known == 0 {
            let detail =
                format!("{slim} calls may have handed out credentials; responses were not kept, none is listed");
            self.report.info(kind, month, detail);
        }
        Ok(())
    }

    /// Every event that may change what is recorded is listed as such, and nothing else, but for those whose events
    /// were pruned.
    pub(super) fn trail_calls(&mut self, month: &str) -> Result<(), LakeError> {
        let of = format!("source = 'cloudtrail.amazonaws.com' AND name IN ({})", listed(&TRAIL_CALLS));
        let columns = "time, account, region, name, outcome, request, response";
        let none = "''::VARCHAR AS event_id, NULL::TIMESTAMP AS time, '' AS account, '' AS region, '' AS name,
             '' AS outcome, '' AS request, '' AS response";
        let events = self.noted(PartKind::Events, month, &format!("{NAMED}, {columns}"), &of, none)?;
        let listed = self.noted(PartKind::TrailCalls, month, &format!("event_id, {columns}"), "true", none)?;
        let pruned = self.manifest.pruned_before()?.map_or(i64::MIN, Timestamp::micros);
        let key = "event_id, time, account, region, name, outcome";
        let query = format!(
            "WITH e AS ({events}), t AS ({listed})
             SELECT (SELECT count(*) FROM e ANTI JOIN t USING ({key})),
                 (SELECT count(*) FROM e WHERE request <> '' OR response <> '') -
                 (SELECT count(*) FROM e SEMI JOIN t USING ({key}, request, response)
                  WHERE request <> '' OR response <> ''),
                 (SELECT count(*) FROM t ANTI JOIN e USING ({key}) WHERE epoch_us(time) >= {pruned})"
        );
        let [missing, differ, stray] = self.sql.integers(&query, self.store)?;
        for (count, what) in [
            (missing, "calls that may change trails are not listed"),
            (differ - missing.min(differ), "calls that may change trails are listed with another request or response"),
            (stray, "calls are listed of which there are no events"),
        ] {
            if count > 0 {
                self.report.bad(PartKind::TrailCalls.as_str(), month, format!("{count} {what}"));
            }
        }
        Ok(())
    }

    /// A query for some columns of a month's files of a kind; for `none` of it where there are no files.
    fn noted(&self, kind: PartKind, month: &str, columns: &str, of: &str, none: &str) -> Result<String, LakeError> {
        Ok(match self.from(kind, month)? {
            Some(from) => format!("SELECT {columns} FROM {from} WHERE {of}"),
            None => format!("SELECT {none} WHERE false"),
        })
    }
}
