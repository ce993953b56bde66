//! The small closed vocabularies of the catalogue.

/// Declares an enum that is stored as a byte and shown as a stable text.
macro_rules! coded {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Stable text used in output and in curated files.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            /// The value that [`Self::as_str`] writes.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text)
            }

            /// The byte that is stored.
            #[cfg(any(test, feature = "catalog-build"))]
            pub(crate) const fn code(self) -> u8 {
                self as u8
            }
        }
    };
}

pub(crate) use coded;

coded! {
    /// What an action does, as AWS classifies it in the Service Authorization Reference.
    AccessLevel {
        /// Sees that something exists.
        List = "list",
        /// Sees what is in it.
        Read = "read",
        /// Creates, changes or deletes.
        Write = "write",
        /// Changes tags only.
        Tagging = "tagging",
        /// Changes who may do what.
        PermissionsManagement = "permissions_management",
    }
}

impl AccessLevel {
    /// The level of a stored byte. An unknown byte is the most dangerous level.
    pub(crate) fn from_code(code: u8) -> Self {
        Self::ALL.get(usize::from(code)).copied().unwrap_or(Self::PermissionsManagement)
    }
}

coded! {
    /// How CloudTrail records the calls that exercise an action.
    LogClass {
        /// As management events: a trail has them by default.
        Management = "management",
        /// As data events: only where an event selector asks for them.
        Data = "data",
        /// As network activity events: only for calls through a VPC endpoint whose owner asked for them.
        NetworkActivity = "network_activity",
        /// Not at all.
        NotLogged = "not_logged",
        /// No known API operation surely exercises it: logs never show that it was not used.
        PermissionOnly = "permission_only",
    }
}

impl LogClass {
    /// The class of a stored byte. An unknown byte is the class that proves least.
    pub(crate) fn from_code(code: u8) -> Self {
        Self::ALL.get(usize::from(code)).copied().unwrap_or(Self::PermissionOnly)
    }
}

coded! {
    /// How a logging class is known.
    Provenance {
        /// AWS documents it.
        Documented = "documented",
        /// Seen in real logs.
        Observed = "observed",
        /// An API operation exists and the service documents no data events: "unused" is of low confidence, and
        /// nothing may be removed automatically.
        Assumed = "assumed",
    }
}

impl Provenance {
    /// The provenance of a stored byte. An unknown byte is the weakest.
    pub(crate) fn from_code(code: u8) -> Self {
        Self::ALL.get(usize::from(code)).copied().unwrap_or(Self::Assumed)
    }
}

/// What makes an action dangerous beyond its access level. Source: iann0036/iam-dataset `aws/tags.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Returns credentials.
    CredentialExposure,
    /// Returns customers' data.
    DataAccess,
    /// Lets the caller gain privileges.
    PrivEsc,
    /// Lets the caller share a resource outside.
    ResourceExposure,
}

impl Risk {
    /// Every tag, in order.
    pub const ALL: [Self; 4] = [Self::CredentialExposure, Self::DataAccess, Self::PrivEsc, Self::ResourceExposure];

    /// Stable text used in output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CredentialExposure => "credential_exposure",
            Self::DataAccess => "data_access",
            Self::PrivEsc => "privilege_escalation",
            Self::ResourceExposure => "resource_exposure",
        }
    }

    /// Its bit in the stored flags.
    pub(crate) const fn bit(self) -> u8 {
        2 << self as u8
    }
}
