//! Why a description is of no use, and what is said of that.

use maskline_domain::call::MediaFault;
use maskline_sip::endpoint::Warning;

/// Why what a side says of its media cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// There is no plain audio, or no codec that may cross; or nothing was offered that this could answer.
    Codec,
    /// It names only addresses of a family that ours cannot speak with.
    Family,
    /// Media that is sent there would come back to the call.
    MediaLoop,
    /// It names a host that does not exist, or has no address.
    NoSuchHost,
    /// It names a host of which no server of names says anything in time, or too many names wait.
    HostUnanswered,
}

impl Unfit {
    /// What the side is told of it.
    pub fn warning(self) -> Option<Warning> {
        match self {
            Self::Codec => None,
            Self::Family => Some(Warning::AddressFormat),
            Self::MediaLoop => Some(Warning::MediaLoop),
            Self::NoSuchHost | Self::HostUnanswered => Some(Warning::Host),
        }
    }

    /// The same for the ladder, where the description alone does not show it. A host's name may tell of a party.
    pub fn note(self) -> &'static str {
        match self {
            Self::Codec | Self::Family | Self::MediaLoop => "",
            Self::NoSuchHost => "the host of its media has no address",
            Self::HostUnanswered => "the host of its media was not found in time",
        }
    }
}

impl From<Unfit> for MediaFault {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::HostUnanswered => Self::Unresolved,
            Unfit::Codec | Unfit::Family | Unfit::MediaLoop | Unfit::NoSuchHost => Self::Unfit,
        }
    }
}
