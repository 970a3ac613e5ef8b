//! The settings of one process: what they are called, what they are when nobody sets them, and
//! where a value came from when it is wrong.
//!
//! The defaults stand once, in `docs/maskline.example.toml`, which is part of the program.
//!
//! Values come from the file, then `MASKLINE_*`, then flags; the later wins. Each layer is checked
//! on its own, so that a mistake is reported where it was made: a file with its line, a variable
//! with its name, a flag with its name. Nothing is ignored silently: an unknown key is an error. All
//! mistakes are told at once, not the first alone.
//!
//! [`Settings`] is what a process starts with. Some of it may change while it runs and is read again
//! on SIGHUP; see [`Reloader`].

mod defaults;
mod error;
mod file;
mod keys;
mod load;
mod reload;
mod rules;
mod settings;
mod values;

pub use defaults::default_text;
pub use error::{ConfigError, ConfigErrors, Fault, Source};
pub use load::{Inputs, Loaded, load};
pub use reload::{Part, Reload, Reloader};
pub use settings::{
    AdminSettings, ApiSettings, CallSettings, JobSettings, JournalSettings, LimitSettings,
    LogSettings, MasterKeySettings, ProcessSettings, PromptSettings, RecordingSettings,
    RtpSettings, Settings, SipSettings, WriterSettings,
};
pub use values::{
    Language, ListenAddress, LogFilter, LogFormat, Network, OffOr, PortRange, RecordingNotice,
};
