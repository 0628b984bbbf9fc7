//! Where this server stands: the state that the scheduler carries from one decision to the next.

use std::fmt;

use super::cost::Cost;
use super::decision::{CostClass, Decision, Intent, Withdrawal};
use crate::base::time::Timestamp;
use crate::monitor::observation::{Fault, Observation};

/// The scheduler's state.
///
/// ```text
///              healthy, and no other holder or held off long enough
///   Starting ------------------------------------------------> Serving <---> Idle
///      |                                                        |  ^   (no query for standby-after; wanted again)
///      | fault                     drain    +-------------------+  |
///      v                                    v      undrain         |
///   Withdrawn <---- fault ---------- Draining ---------------------+
///      |                                                           |
///      +--- healthy again: at once (link) or after hold (service) -+        any --stop--> Stopping
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Not seen to be healthy yet.
    Starting,
    /// Wants queries.
    Serving,
    /// Could serve, and is silent because nobody asks (claim 7).
    Idle,
    /// The operator wants no more queries here.
    Draining,
    /// The service, the address or the link has failed (claim 9).
    Withdrawn(Option<Fault>),
    /// On its way out.
    Stopping,
}

impl State {
    /// The state's name in `explain`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Idle => "idle",
            Self::Draining => "draining",
            Self::Withdrawn(_) => "withdrawn",
            Self::Stopping => "stopping",
        }
    }
}

/// The scheduler's state with what it must remember of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Where this server stands.
    pub state: State,
    /// Why.
    pub reason: Reason,
    /// Since when.
    pub since: Timestamp,
    /// Healthy without a break since then.
    pub healthy_since: Option<Timestamp>,
    /// When the service was last seen not to be healthy, after it had once been so: `hold` counts from here. Faults of the
    /// link do not move it.
    pub service_failed: Option<Timestamp>,
    /// Ready (serving or idle) without a break since then.
    pub ready_since: Option<Timestamp>,
    /// The cost class by load.
    pub cost: Cost,
    /// How many decisions led here.
    pub decision: u64,
}

impl Standing {
    /// A server that has just been started.
    #[must_use]
    pub const fn starting(now: Timestamp) -> Self {
        Self {
            state: State::Starting,
            reason: Reason::Started,
            since: now,
            healthy_since: None,
            service_failed: None,
            ready_since: None,
            cost: Cost::STARTED,
            decision: 0,
        }
    }

    /// The cost class: that of the load while serving. Who wants no queries wants them only when nobody else is left.
    #[must_use]
    pub const fn class(&self) -> CostClass {
        match self.state {
            State::Starting | State::Serving | State::Withdrawn(_) => self.cost.class,
            State::Idle | State::Draining | State::Stopping => CostClass::LastResort,
        }
    }

    /// What the advertisers are told, with the load that was last `seen` and the configured weight.
    #[must_use]
    pub const fn decision(&self, seen: &Observation, weight: u16) -> Decision {
        let intent = match self.state {
            State::Starting => Intent::Withdraw(Withdrawal::Starting),
            State::Serving => Intent::Advertise,
            State::Idle => Intent::Silent,
            State::Draining | State::Stopping => Intent::Withdraw(Withdrawal::Planned),
            State::Withdrawn(_) => Intent::Withdraw(Withdrawal::Unhealthy),
        };
        Decision {
            id: self.decision,
            intent,
            class: self.class(),
            load: seen.load,
            recent_load: seen.recent_load,
            weight,
            health: u8::MAX,
        }
    }
}

/// The rule by which a decision was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The process has been started.
    Started,
    /// Healthy, and no other server holds the address.
    Healthy,
    /// Healthy for `hold`.
    HeldLongEnough,
    /// The fault of the link is over.
    LinkBack,
    /// No query for `standby-after` (claim 7).
    NoQueries,
    /// A query or a solicitation came in standby (claim 8).
    WantedAgain,
    /// Another server has come near its capacity while this one was in standby.
    OthersBusy,
    /// `heraldns drain`.
    DrainOrdered,
    /// `heraldns undrain`.
    DrainEnded,
    /// SIGTERM or SIGINT.
    StopOrdered,
    /// A part has failed (claim 9).
    Failed(Fault),
    /// A part has not been seen to work: unknown counts as down.
    HealthUnknown,
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Started => "started",
            Self::Healthy => "healthy, and no other server holds the service address",
            Self::HeldLongEnough => "healthy for long enough",
            Self::LinkBack => "the link is back",
            Self::NoQueries => "no queries for a while",
            Self::WantedAgain => "asked for again",
            Self::OthersBusy => "another server has come near its capacity",
            Self::DrainOrdered => "drain ordered",
            Self::DrainEnded => "drain ended",
            Self::StopOrdered => "stop ordered",
            Self::Failed(fault) => return fault.fmt(formatter),
            Self::HealthUnknown => "not seen to be healthy",
        })
    }
}
