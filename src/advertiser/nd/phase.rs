//! The phases of the nd machine and what leads from one to the next: a table, without effects.
//!
//! ```text
//!            ready                nobody holds it, our turn, named as successor
//!  Out ----------------> Listening ------------------------------------> Holding
//!   ^                      |    ^                                         |   ^
//!   | withdraw             |    | own stall, undrain                      |   | the same
//!   |      another holds it|    |                     another holds it    |   |
//!   +---- (any but         +--> Following <-------------------------------+   |
//!   |      Holding)              |  +-------------------------------------------+
//!   |                                            withdraw                 |
//!   +<----------- quiet ------------ Leaving <----------------------------+
//!
//!  any -- link lost --> Failed -- link back --> Out (and from there to Holding if that was a flap of the holder's link)
//! ```

use crate::scheduler::Withdrawal;

/// Where the machine stands towards the routers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Queries are not wanted, nothing points here.
    Out,
    /// Cannot speak: link, group or address is missing.
    Failed,
    /// Ready, and listens before it speaks.
    Listening,
    /// Ready, another server holds the service address, or the next of them is about to.
    Following,
    /// The routers should have this server's link-layer address.
    Holding,
    /// Hands over, and serves what still comes.
    Leaving,
}

/// What moves the machine from phase to phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Queries are wanted, or would be answered.
    Ready,
    /// They are not.
    Withdraw(Withdrawal),
    /// Link, group or address went.
    LinkLost,
    /// They are back.
    LinkBack,
    /// Queries are wanted again, and the link was away so shortly that nobody took over.
    Flap,
    /// This process did not run for a while.
    Stalled,
    /// Another server holds the service address, and rightly so.
    OtherHolds,
    /// It is for this server to hold the service address now.
    TakeOver,
    /// Nothing comes any more, and another server holds the service address or nobody can.
    Quiet,
}

impl Phase {
    /// The phase after `event`.
    pub(super) fn after(self, event: Event) -> Self {
        match (self, event) {
            (_, Event::LinkLost) => Self::Failed,

            (Self::Out, Event::Ready) => Self::Listening,
            (Self::Out, Event::Flap) => Self::Holding,
            (Self::Out, Event::Withdraw(_) | Event::LinkBack | Event::Stalled) => Self::Out,
            (Self::Out, Event::OtherHolds | Event::TakeOver | Event::Quiet) => Self::Out,

            (Self::Failed, Event::LinkBack) => Self::Out,
            (Self::Failed, Event::Ready | Event::Flap | Event::Withdraw(_) | Event::Stalled) => Self::Failed,
            (Self::Failed, Event::OtherHolds | Event::TakeOver | Event::Quiet) => Self::Failed,

            (Self::Listening, Event::OtherHolds) => Self::Following,
            (Self::Listening, Event::TakeOver) => Self::Holding,
            (Self::Listening, Event::Withdraw(_)) => Self::Out,
            (Self::Listening, Event::Ready | Event::LinkBack | Event::Flap | Event::Stalled | Event::Quiet) => Self::Listening,

            (Self::Following, Event::TakeOver) => Self::Holding,
            (Self::Following, Event::Withdraw(_)) => Self::Out,
            (Self::Following, Event::Stalled) => Self::Listening,
            (Self::Following, Event::Ready | Event::LinkBack | Event::Flap | Event::OtherHolds | Event::Quiet) => Self::Following,

            (Self::Holding, Event::OtherHolds) => Self::Following,
            (Self::Holding, Event::Withdraw(Withdrawal::Starting)) => Self::Out,
            (Self::Holding, Event::Withdraw(Withdrawal::Planned | Withdrawal::Unhealthy)) => Self::Leaving,
            (Self::Holding, Event::Stalled) => Self::Listening,
            (Self::Holding, Event::Ready | Event::LinkBack | Event::Flap | Event::TakeOver | Event::Quiet) => Self::Holding,

            (Self::Leaving, Event::Ready) => Self::Listening,
            (Self::Leaving, Event::Quiet | Event::Stalled) => Self::Out,
            (Self::Leaving, Event::Withdraw(_) | Event::LinkBack | Event::Flap) => Self::Leaving,
            (Self::Leaving, Event::OtherHolds | Event::TakeOver) => Self::Leaving,
        }
    }

    /// True while this server would take the service address if it fell to it.
    pub(super) const fn is_candidate(self) -> bool {
        matches!(self, Self::Listening | Self::Following)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Phase::{Failed, Following, Holding, Leaving, Listening, Out};

    #[test]
    fn every_event_in_every_phase() {
        #[rustfmt::skip]
        let table = [
            //                                          Out        Failed   Listening  Following  Holding    Leaving
            (Event::Ready,                              [Listening, Failed,  Listening, Following, Holding,   Listening]),
            (Event::Withdraw(Withdrawal::Starting),     [Out,       Failed,  Out,       Out,       Out,       Leaving]),
            (Event::Withdraw(Withdrawal::Planned),      [Out,       Failed,  Out,       Out,       Leaving,   Leaving]),
            (Event::Withdraw(Withdrawal::Unhealthy),    [Out,       Failed,  Out,       Out,       Leaving,   Leaving]),
            (Event::LinkLost,                           [Failed,    Failed,  Failed,    Failed,    Failed,    Failed]),
            (Event::LinkBack,                           [Out,       Out,     Listening, Following, Holding,   Leaving]),
            (Event::Flap,                               [Holding,   Failed,  Listening, Following, Holding,   Leaving]),
            (Event::Stalled,                            [Out,       Failed,  Listening, Listening, Listening, Out]),
            (Event::OtherHolds,                         [Out,       Failed,  Following, Following, Following, Leaving]),
            (Event::TakeOver,                           [Out,       Failed,  Holding,   Holding,   Holding,   Leaving]),
            (Event::Quiet,                              [Out,       Failed,  Listening, Following, Holding,   Out]),
        ];
        for (event, after) in table {
            for (phase, after) in [Out, Failed, Listening, Following, Holding, Leaving].into_iter().zip(after) {
                assert_eq!(phase.after(event), after, "{phase:?}, {event:?}");
            }
        }
    }
}
