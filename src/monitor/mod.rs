//! Monitoring means (304): watches the service process (300) and the interface that carries the service address (314).
//!
//! Everything it sees ends in one [`Observation`], plain data with its time, from which the scheduler (306) decides.
//! Health is local: no remote dependency can withdraw a server. Unknown and silent count as down.

pub mod ledger;
pub mod observation;
pub mod probe;
pub mod rate;
pub mod system;

pub use observation::Observation;
