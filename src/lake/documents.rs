//! Documents of the store, and what analysis remembers beside it: states of AWS as they were read, whole and dated.

use rusqlite::{OptionalExtension, params};

use super::disk;
use super::error::LakeError;
use super::manifest::signed;
use super::writer::Writer;
use crate::model::time::Timestamp;

/// zstd level of documents: they are read seldom and kept for long.
const ZSTD_LEVEL: i32 = 6;

/// A document on its way into the store.
#[derive(Clone, Copy, Debug)]
pub struct NewDocument<'a> {
    /// Its kind, such as `iam`.
    pub kind: &'a str,
    /// The account that it speaks for, where it is one.
    pub account: Option<&'a str>,
    /// When AWS gave the answer.
    pub captured_at: Timestamp,
    /// Where it is from, for people.
    pub source: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// What became of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutDocument {
    /// It is new.
    New,
    /// The same bytes of the same kind, account and time were there already.
    AlreadyPresent,
}

impl Writer {
    /// Puts one document into the store; see [`Self::put_documents`].
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn put_document(
        &mut self,
        kind: &str,
        account: Option<&str>,
        captured_at: Timestamp,
        source: &str,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<PutDocument, LakeError> {
        let one = NewDocument { kind, account, captured_at, source, bytes };
        let put = self.put_documents(&[one], now)?;
        Ok(put.into_iter().next().unwrap_or(PutDocument::AlreadyPresent))
    }

    /// Puts documents that belong together into the store, as they are: all of them, or none. One that is there already
    /// is not put again. `now` is written into the generation.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn put_documents(
        &mut self,
        documents: &[NewDocument<'_>],
        now: Timestamp,
    ) -> Result<Vec<PutDocument>, LakeError> {
        let hashes: Vec<String> =
            documents.iter().map(|document| blake3::hash(document.bytes).to_hex().to_string()).collect();
        let mut put = Vec::with_capacity(documents.len());
        for (document, hash) in documents.iter().zip(&hashes) {
            put.push(if self.has_document(document, hash)? { PutDocument::AlreadyPresent } else { PutDocument::New });
        }
        let new: Vec<(&NewDocument<'_>, &String)> = documents
            .iter()
            .zip(&hashes)
            .zip(&put)
            .filter(|(_, put)| **put == PutDocument::New)
            .map(|(d, _)| d)
            .collect();
        if new.is_empty() {
            return Ok(put);
        }
        for (document, hash) in &new {
            let path = self.store.join(format!("documents/{hash}.zst"));
            if !path.exists() {
                let packed =
                    zstd::encode_all(document.bytes, ZSTD_LEVEL).map_err(|e| LakeError::io("compress", &path, e))?;
                disk::write_file(&path, &packed)?;
            }
        }
        disk::sync_dir(&self.store.join("documents"))?;
        let generation = self.manifest.generation()? + 1;
        self.publish(generation, now, 0, |tx| {
            for (document, hash) in &new {
                tx.execute(
                    "INSERT INTO documents (kind, account, captured_at, source, hash, bytes, generation)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    params![
                        document.kind,
                        document.account.unwrap_or(""),
                        document.captured_at.micros(),
                        document.source,
                        hash,
                        signed(document.bytes.len() as u64),
                        generation
                    ],
                )?;
            }
            Ok(())
        })?;
        Ok(put)
    }

    fn has_document(&self, document: &NewDocument<'_>, hash: &str) -> Result<bool, LakeError> {
        let known: Option<i64> = self
            .manifest
            .connection
            .query_row(
                "SELECT id FROM documents WHERE kind = ?1 AND account = ?2 AND captured_at = ?3 AND hash = ?4",
                params![document.kind, document.account.unwrap_or(""), document.captured_at.micros(), hash],
                |row| row.get(0),
            )
            .optional()
            .map_err(self.manifest.fail())?;
        Ok(known.is_some())
    }

    /// The store's generation now.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn generation(&self) -> Result<i64, LakeError> {
        self.manifest.generation()
    }

    /// A value that was kept under a key.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn state(&self, key: &str) -> Result<Option<serde_json::Value>, LakeError> {
        let text: Option<String> = self
            .manifest
            .connection
            .query_row("SELECT value FROM state WHERE key = ?1", [key], |row| row.get(0))
            .optional()
            .map_err(self.manifest.fail())?;
        let damaged = |e: serde_json::Error| LakeError::Damaged {
            path: self.store.clone(),
            reason: format!("state `{key}`: {e}"),
        };
        text.map(|text| serde_json::from_str(&text)).transpose().map_err(damaged)
    }

    /// Keeps a value under a key, replacing the one before. It makes no generation: what analysis remembers is no
    /// input of analysis, so that the same inputs keep giving the same output.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn put_state(&mut self, key: &str, value: &serde_json::Value) -> Result<(), LakeError> {
        let generation = self.manifest.generation()?;
        self.manifest
            .connection
            .execute(
                "INSERT OR REPLACE INTO state (key, value, generation) VALUES (?1, ?2, ?3)",
                params![key, value.to_string(), generation],
            )
            .map(|_| ())
            .map_err(self.manifest.fail())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::lake::Reader;

    #[test]
    fn documents_that_belong_together_make_one_generation() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        let mut writer = Writer::open(&store, false, &AtomicBool::new(false)).unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let one = |kind: &'static str, bytes: &'static [u8]| NewDocument {
            kind,
            account: Some("111122223333"),
            captured_at: at("2026-01-02"),
            source: "test",
            bytes,
        };
        let before = writer.generation().unwrap();
        let put = writer.put_documents(&[one("iam", b"{}"), one("trails", b"[]")], at("2026-01-03")).unwrap();
        assert_eq!(put, [PutDocument::New, PutDocument::New]);
        assert_eq!(writer.generation().unwrap(), before + 1);
        let put = writer.put_documents(&[one("iam", b"{}"), one("iam", b"[1]")], at("2026-01-04")).unwrap();
        assert_eq!(put, [PutDocument::AlreadyPresent, PutDocument::New]);
        assert_eq!(writer.put_documents(&[], at("2026-01-04")).unwrap(), []);
        assert_eq!(writer.generation().unwrap(), before + 2);
        // Where one cannot be kept, none is: not even those before it.
        let documents = store.join("documents");
        let aside = folder.path().join("aside");
        std::fs::rename(&documents, &aside).unwrap();
        assert!(writer.put_documents(&[one("iam", b"[2]"), one("iam", b"[3]")], at("2026-01-05")).is_err());
        std::fs::rename(&aside, &documents).unwrap();
        drop(writer);
        let reader = Reader::open(&store).unwrap();
        assert_eq!(reader.documents().unwrap().len(), 3);
    }

    #[test]
    fn states_are_told_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(&folder.path().join("store"), false, &AtomicBool::new(false)).unwrap();
        assert_eq!(writer.state("x").unwrap(), None);
        writer.put_state("x", &serde_json::json!({ "done": ["1"] })).unwrap();
        writer.put_state("x", &serde_json::json!({ "done": ["2"] })).unwrap();
        assert_eq!(writer.state("x").unwrap(), Some(serde_json::json!({ "done": ["2"] })));
    }
}
