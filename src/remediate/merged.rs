//! Several policy documents as one, where only one can stand.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::quota;

/// A document that is too long, and by how many characters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Long {
    pub(super) why: String,
    pub(super) excess: usize,
}

impl From<Long> for super::fit::Unfit {
    fn from(Long { why, excess }: Long) -> Self {
        Self::Long { why, excess }
    }
}

/// Statements of several documents as one.
#[derive(Default)]
pub(super) struct Merged {
    version: Option<Value>,
    statements: Vec<Value>,
    ids: BTreeSet<String>,
    /// A document that stands alone, as it is written.
    only: Option<String>,
    documents: usize,
}

impl Merged {
    /// Adds a document's statements, where there is one.
    pub(super) fn add(&mut self, json: Option<&str>) -> Result<(), String> {
        let Some(json) = json else { return Ok(()) };
        let value: Value = serde_json::from_str(json).map_err(|error| format!("a policy cannot be read: {error}"))?;
        let of = |name: &str| {
            let fields = value.as_object()?;
            fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
        };
        let version = of("Version");
        // What is a text in the older version of the language is a variable in the newer one.
        if self.documents > 0 && version != self.version {
            return Err("its policies are in several versions of the language".to_owned());
        }
        let statements = match of("Statement") {
            Some(Value::Array(all)) => all,
            Some(one) => vec![one],
            None => Vec::new(),
        };
        for mut statement in statements {
            let Some(fields) = statement.as_object_mut() else { continue };
            self.unique_id(fields);
            // Two accounts may have the same statement.
            if !self.statements.contains(&statement) {
                self.statements.push(statement);
            }
        }
        (self.only, self.version) = ((self.documents == 0).then(|| json.to_owned()), version);
        self.documents += 1;
        Ok(())
    }

    /// Ids of statements are unique within a document: a second one goes.
    fn unique_id(&mut self, fields: &mut Map<String, Value>) {
        let id = fields.iter().find(|(key, _)| key.eq_ignore_ascii_case("Sid"));
        let Some((key, id)) = id.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
        else {
            return;
        };
        if !self.ids.insert(id) {
            fields.remove(&key);
        }
    }

    /// All of it as one document, however long it is; none where nothing is in it.
    pub(super) fn whole(&self) -> Option<String> {
        if self.statements.is_empty() {
            return None;
        }
        let mut out = Map::new();
        if let Some(version) = &self.version {
            out.insert("Version".to_owned(), version.clone());
        }
        out.insert("Statement".to_owned(), json!(self.statements));
        Some(self.only.clone().unwrap_or_else(|| Value::Object(out).to_string()))
    }

    /// All of it as one document that fits into a role; none where nothing is in it.
    pub(super) fn document(&self) -> Result<Option<String>, Long> {
        let Some(document) = self.whole() else { return Ok(None) };
        let long = quota::size(&document);
        if long > quota::ROLE_INLINE {
            let why = format!("its inline policy would have {long} characters; a role takes {}", quota::ROLE_INLINE);
            return Err(Long { why, excess: long - quota::ROLE_INLINE });
        }
        Ok(Some(document))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_become_one_and_say_the_same() {
        let one = |sid: &str, action: &str| json!({"Sid": sid, "Effect": "Allow", "Action": action, "Resource": "*"});
        let document = |version: &str, all: &[Value]| json!({"Version": version, "Statement": all}).to_string();
        let mut merged = Merged::default();
        assert_eq!(merged.document(), Ok(None));
        let pretty = "{ \"Version\": \"2012-10-17\", \"Statement\": {\"Effect\": \"Deny\", \"Action\": \"*\", \"Resource\": \"*\"} }";
        merged.add(Some(pretty)).unwrap();
        assert_eq!(merged.document(), Ok(Some(pretty.to_owned())));
        merged.add(None).unwrap();
        merged.add(Some(&document("2012-10-17", &[one("A", "s3:GetObject"), one("B", "s3:PutObject")]))).unwrap();
        merged.add(Some(&document("2012-10-17", &[one("A", "ec2:RunInstances"), one("B", "s3:PutObject")]))).unwrap();
        let all: Value = serde_json::from_str(&merged.document().unwrap().unwrap()).unwrap();
        let ids: Vec<Option<&str>> =
            all["Statement"].as_array().unwrap().iter().map(|one| one["Sid"].as_str()).collect();
        assert_eq!(ids, [None, Some("A"), Some("B"), None, None]);
        assert!(merged.add(Some(&document("2008-10-17", &[one("C", "*")]))).is_err());
        let long = document("2012-10-17", &[one("L", &"x".repeat(11_000))]);
        let mut merged = Merged::default();
        merged.add(Some(&long)).unwrap();
        assert!(merged.document().unwrap_err().why.contains("10240"));
    }
}
