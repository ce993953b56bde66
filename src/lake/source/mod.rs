//! Log files: found, told apart, read.

pub(crate) mod find;
pub(crate) mod forms;
pub(crate) mod layout;
pub(crate) mod read;
