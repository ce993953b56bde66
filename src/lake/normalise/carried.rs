//! What the form of a record carries of it: a column that is not there is unknown, and not an empty one.

/// What a form carries. Only what an absence would otherwise be read into is kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Carried {
    /// Everything, as the trail file has it: the record's whole content tells a duplicate.
    pub whole: bool,
    /// `errorCode`: without it nobody knows what became of the call.
    pub error_code: bool,
    /// `requestParameters`: without them nobody knows which of an operation's ways was called, or which role was passed.
    pub request: bool,
    /// `responseElements`: without them nobody knows which credentials were handed out, or whether a sign-in succeeded.
    pub response: bool,
    /// `eventCategory` or `managementEvent`.
    pub category: bool,
}

impl Carried {
    /// A record as CloudTrail wrote it.
    pub(crate) const WHOLE: Self =
        Self { whole: true, error_code: true, request: true, response: true, category: true };
    /// A record in another shape, with all of these.
    pub(crate) const LOSSY: Self = Self { whole: false, ..Self::WHOLE };

    /// What is lost with the columns that are not there, in words; none where they are.
    pub(crate) fn lack(self) -> Option<String> {
        let lost = [
            (self.error_code, "errorCode, so what became of the calls is unknown"),
            (self.request, "requestParameters, so what exactly was called and which roles were passed is unknown"),
            (self.response, "responseElements, so which credentials were handed out is unknown"),
        ];
        let lost: Vec<&str> = lost.iter().filter(|(there, _)| !there).map(|(_, words)| *words).collect();
        (!lost.is_empty()).then(|| format!("not set aside, but without {}", lost.join("; without ")))
    }
}
