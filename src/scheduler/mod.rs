//! Service scheduling means (306): decides whether the network should send queries here.
//!
//! Pure: no clock, no I/O, no memory but the standing it is handed. How a protocol says so is the advertiser's business.

pub mod config;
pub mod cost;
pub mod decide;
pub mod decision;
pub mod forecast;
pub mod journal;
pub mod standing;

pub use cost::Cost;
pub use decide::{Policy, decide};
pub use decision::{CostClass, Decision, Intent, Withdrawal};
pub use journal::Journal;
pub use standing::{Reason, Standing, State};
