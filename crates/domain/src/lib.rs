//! The rules and the state of Maskline, without any I/O.
//!
//! Everything that decides who reaches whom lives here as plain values and
//! functions: [`State`] is the whole routing state, [`decide`] turns a
//! [`Command`] into [`Event`]s without changing anything, and
//! [`State::apply`] makes an event part of the state. Time and chance come in
//! as arguments; nothing here reads a clock, draws a random number or waits.
//!
//! Other rooms: `journal` batches decisions, `store` makes events durable, `server` talks to the world,
//! `sim` plays this crate against a slow and obvious model.

pub mod access;
pub mod account;
pub mod bind_forecast;
pub mod binding;
pub mod call;
pub mod call_record;
pub mod carrier;
pub mod chance;
pub mod clock;
pub mod command;
pub mod command_id;
pub mod event;
pub mod inventory;
pub mod number;
pub mod operator;
pub mod ops;
pub mod pool;
pub mod product;
pub mod provisioning;
pub mod refusal;
pub mod retention;
pub mod ring_config;
pub mod routing;
pub mod state;
pub mod subject;
pub mod throttle;
pub mod tone;
pub mod trunk;
pub mod visits;

mod allocation;
mod bindings;
mod due;
mod hashed;
mod memory;
mod named_enum;
mod ordered;
mod overdue;
mod provisions;
mod slab;

pub use access::admit;
pub use account::{AccessKey, AccessKeyId, Account, AccountId, AccountStatus, User, UserName};
pub use binding::{Binding, EndCause, Owner, Restriction, SubsId};
pub use carrier::{Carrier, CarrierKind, CarrierName};
pub use clock::Timestamp;
pub use command::{Actor, BindRequest, Note, Outcome, Update, Work};
pub use command_id::{Answered, AttemptId, CommandId, CommandKey, Remembered};
pub use event::{Entry, Event, Personal};
pub use inventory::{City, Number, NumberCarrier, NumberClass, NumberKind, NumberStatus};
pub use number::{Party, PhoneNumber};
pub use operator::{Operator, OperatorName, Role, TokenHash};
pub use ops::{Command, Decision, Envelope, TypedCommand, decide};
pub use pool::{Pool, PoolKey, PoolRef};
pub use product::{Product, Slot};
pub use refusal::{AdminRefusal, Refusal};
pub use ring_config::RingConfig;
pub use state::{Classes, Restoring, Row, RowKey, State, Stored, Undo, rows, rows_v1};
pub use subject::{ErasedParts, Part, Subject};
pub use tone::{RingTones, ToneCode};
pub use trunk::{Trunk, TrunkName};
