//! The decision itself: a pure function of policy, standing and observation.

use std::time::Duration;

use super::cost::{BUSY, QUIET};
use super::decision::CostClass;
use super::forecast::others_need_help;
use super::standing::{Reason, Standing, State};
use crate::base::peer::IdentityHash;
use crate::base::time::Timestamp;
use crate::monitor::observation::{Health, Observation, Order};

/// What the operator has configured of the scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// No query for so long: idle standby. Zero: never.
    pub standby_after: Duration,
    /// Healthy for so long before advertising again after a failure of the service.
    pub hold: Duration,
    /// Who this is; servers that would move at the same time do not.
    pub identity: IdentityHash,
}

/// The standing that follows from `seen`. The same standing comes back, unchanged, when nothing is to be decided.
#[must_use]
pub fn decide(policy: &Policy, standing: Standing, seen: &Observation) -> Standing {
    let condition = seen.link.and(seen.service);
    let healthy_since = match condition {
        Health::Healthy => standing.healthy_since.or(Some(seen.at)),
        Health::Unknown | Health::Faulty(_) => None,
    };
    // Not knowing is a failure only of a service that has been known.
    let was_known = standing.ready_since.is_some() || standing.service_failed.is_some();
    let service_failed = match seen.service {
        Health::Faulty(_) => Some(seen.at),
        Health::Unknown if was_known => Some(seen.at),
        Health::Unknown | Health::Healthy => standing.service_failed,
    };
    let rested = |since: Option<Timestamp>| since.is_none_or(|since| seen.at.since(since) >= policy.hold);
    let held = Held {
        since_start: healthy_since.is_some() && rested(healthy_since),
        since_failure: rested(service_failed),
    };
    let (state, reason) = match seen.order {
        Order::Stop => (State::Stopping, Reason::StopOrdered),
        Order::Drain => drained(standing.state, condition),
        Order::Serve => served(policy, &standing, seen, condition, &held),
    };
    let ready_since = match state {
        State::Serving | State::Idle => standing.ready_since.or(Some(seen.at)),
        State::Starting | State::Draining | State::Withdrawn(_) | State::Stopping => None,
    };
    let cost = match state {
        State::Serving => standing.cost.follow(policy.identity, standing.decision, seen),
        State::Starting | State::Idle | State::Draining | State::Withdrawn(_) | State::Stopping => standing.cost.at_rest(),
    };
    let class_changes = cost.class != standing.cost.class;
    let standing = Standing {
        cost,
        healthy_since,
        // Forgotten once it has been lived down.
        service_failed: service_failed.filter(|_| ready_since.is_none()),
        ready_since,
        ..standing
    };
    let decision = standing.decision + u64::from(class_changes || state != standing.state);
    if state == standing.state {
        return Standing { decision, ..standing };
    }
    Standing {
        state,
        reason,
        since: seen.at,
        decision,
        ..standing
    }
}

/// Whether `hold` has passed.
struct Held {
    /// Of unbroken health.
    since_start: bool,
    /// Since the service itself last failed.
    since_failure: bool,
}

fn drained(state: State, condition: Health) -> (State, Reason) {
    match (condition, state) {
        (Health::Faulty(fault), _) => (State::Withdrawn(Some(fault)), Reason::Failed(fault)),
        (Health::Unknown, State::Starting) => (State::Starting, Reason::Started),
        (Health::Unknown, State::Serving | State::Idle | State::Draining | State::Withdrawn(_) | State::Stopping) => {
            (State::Withdrawn(None), Reason::HealthUnknown)
        }
        (Health::Healthy, _) => (State::Draining, Reason::DrainOrdered),
    }
}

fn served(policy: &Policy, standing: &Standing, seen: &Observation, condition: Health, held: &Held) -> (State, Reason) {
    match (condition, standing.state) {
        (Health::Faulty(fault), _) => (State::Withdrawn(Some(fault)), Reason::Failed(fault)),
        (Health::Unknown, State::Starting) => (State::Starting, Reason::Started),
        (Health::Unknown, State::Withdrawn(fault)) => (State::Withdrawn(fault), Reason::HealthUnknown),
        (Health::Unknown, State::Serving | State::Idle | State::Draining | State::Stopping) => {
            (State::Withdrawn(None), Reason::HealthUnknown)
        }
        (Health::Healthy, State::Starting) if !seen.other_holder => (State::Serving, Reason::Healthy),
        (Health::Healthy, State::Starting) if held.since_start => (State::Serving, Reason::HeldLongEnough),
        (Health::Healthy, State::Starting) => (State::Starting, Reason::Started),
        (Health::Healthy, State::Withdrawn(_)) if held.since_failure && standing.service_failed.is_none() => {
            (State::Serving, Reason::LinkBack)
        }
        (Health::Healthy, State::Withdrawn(_)) if held.since_failure => (State::Serving, Reason::HeldLongEnough),
        (Health::Healthy, State::Withdrawn(fault)) => (State::Withdrawn(fault), Reason::HealthUnknown),
        (Health::Healthy, State::Draining) => (State::Serving, Reason::DrainEnded),
        (Health::Healthy, State::Stopping) => (State::Stopping, Reason::StopOrdered),
        (Health::Healthy, State::Serving) if is_idle(policy, standing, seen) => (State::Idle, Reason::NoQueries),
        (Health::Healthy, State::Serving) => (State::Serving, Reason::Healthy),
        (Health::Healthy, State::Idle) if is_idle(policy, standing, seen) => (State::Idle, Reason::NoQueries),
        (Health::Healthy, State::Idle) if others_need_help(seen, BUSY) => (State::Serving, Reason::OthersBusy),
        (Health::Healthy, State::Idle) => (State::Serving, Reason::WantedAgain),
    }
}

/// Claim 7: nobody has asked for `standby-after`, neither with a query nor with a solicitation.
///
/// Not a server that has sent its queries away itself; and not while another one could soon need this one, which nobody
/// would ask while it is the last resort.
fn is_idle(policy: &Policy, standing: &Standing, seen: &Observation) -> bool {
    let needed_from = if standing.state == State::Idle { BUSY } else { QUIET };
    if policy.standby_after.is_zero() || standing.cost.class != CostClass::Normal || others_need_help(seen, needed_from) {
        return false;
    }
    // Who has just called queries back gives them time to come: two changes of the cost at once help nobody.
    let called_back = standing.cost.returned;
    let last_asked = seen.last_inflow.max(seen.last_wanted).max(standing.ready_since).max(called_back);
    last_asked.is_some_and(|asked| seen.at.since(asked) >= policy.standby_after)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::monitor::group::{Group, Member};
    use crate::monitor::observation::Fault;

    const POLICY: Policy = Policy {
        standby_after: Duration::from_secs(30),
        hold: Duration::from_secs(3),
        identity: IdentityHash(1),
    };

    fn healthy(at: u64) -> Observation {
        Observation::empty(Timestamp::from_secs(at), Health::Healthy, Order::Serve)
    }

    fn in_state(state: State) -> Standing {
        Standing {
            state,
            ..Standing::starting(Timestamp::ZERO)
        }
    }

    fn after(standing: Standing, seen: Observation) -> (State, Reason) {
        let next = decide(&POLICY, standing, &seen);
        (next.state, next.reason)
    }

    const STATES: [State; 7] = [
        State::Starting,
        State::Serving,
        State::Idle,
        State::Draining,
        State::Withdrawn(Some(Fault::InterfaceDown)),
        State::Withdrawn(Some(Fault::ProbeUnanswered)),
        State::Stopping,
    ];

    #[test]
    fn claim_9_a_fault_withdraws_from_every_state_but_stopping() {
        for state in STATES {
            let seen = Observation {
                service: Health::Faulty(Fault::WorkerSilent),
                ..healthy(1)
            };
            let next = decide(&POLICY, in_state(state), &seen);
            assert_eq!(next.state, State::Withdrawn(Some(Fault::WorkerSilent)), "{state:?}");
            let stopping = Observation {
                order: Order::Stop,
                ..seen
            };
            assert_eq!(decide(&POLICY, in_state(state), &stopping).state, State::Stopping, "{state:?}");
        }
    }

    #[test]
    fn unknown_counts_as_down() {
        for state in STATES {
            let seen = Observation {
                service: Health::Unknown,
                ..healthy(1)
            };
            let next = decide(&POLICY, in_state(state), &seen).state;
            assert!(matches!(next, State::Starting | State::Withdrawn(_)), "{state:?} became {next:?}");
        }
    }

    #[test]
    fn a_start_waits_for_hold_only_behind_another_holder() {
        assert_eq!(after(in_state(State::Starting), healthy(1)), (State::Serving, Reason::Healthy));
        let behind = |at| Observation {
            other_holder: true,
            ..healthy(at)
        };
        let first = decide(&POLICY, in_state(State::Starting), &behind(1));
        assert_eq!(first.state, State::Starting);
        assert_eq!(after(first, behind(3)), (State::Starting, Reason::Started));
        assert_eq!(after(first, behind(4)), (State::Serving, Reason::HeldLongEnough));
    }

    #[test]
    fn the_link_comes_back_at_once_and_the_service_after_hold() {
        assert_eq!(
            after(in_state(State::Withdrawn(Some(Fault::AddressLost))), healthy(1)),
            (State::Serving, Reason::LinkBack)
        );
        let probe_fault = Observation {
            service: Health::Faulty(Fault::ProbeUnanswered),
            ..healthy(1)
        };
        let failed = decide(&POLICY, in_state(State::Serving), &probe_fault);
        assert_eq!(failed.state, State::Withdrawn(Some(Fault::ProbeUnanswered)));
        assert_eq!(after(failed, healthy(3)).0, State::Withdrawn(Some(Fault::ProbeUnanswered)));
        let blip = Observation {
            link: Health::Faulty(Fault::InterfaceDown),
            ..healthy(2)
        };
        assert!(
            matches!(after(decide(&POLICY, failed, &blip), healthy(3)).0, State::Withdrawn(_)),
            "a link blip ends no hold"
        );
        assert_eq!(after(failed, healthy(4)), (State::Serving, Reason::HeldLongEnough));
        let relapse = decide(
            &POLICY,
            failed,
            &Observation {
                service: Health::Unknown,
                ..healthy(2)
            },
        );
        assert_eq!(
            after(relapse, healthy(4)).0,
            State::Withdrawn(Some(Fault::ProbeUnanswered)),
            "hold begins anew"
        );
    }

    #[test]
    fn claim_7_no_queries_lead_to_standby_and_claim_8_a_solicitation_out_of_it() {
        let serving = decide(&POLICY, in_state(State::Starting), &healthy(10));
        assert_eq!(after(serving, healthy(39)).0, State::Serving);
        let asked = Observation {
            last_inflow: Some(Timestamp::from_secs(20)),
            ..healthy(49)
        };
        assert_eq!(after(serving, asked.clone()).0, State::Serving);
        let idle = decide(
            &POLICY,
            serving,
            &Observation {
                at: Timestamp::from_secs(50),
                ..asked
            },
        );
        assert_eq!((idle.state, idle.reason), (State::Idle, Reason::NoQueries));
        let solicited = Observation {
            last_wanted: Some(Timestamp::from_secs(60)),
            ..healthy(60)
        };
        assert_eq!(after(idle, solicited), (State::Serving, Reason::WantedAgain));
    }

    fn beside(at: u64, others_load: u16, load: u16) -> Observation {
        let other = Member {
            attracts: true,
            load: others_load,
            offered: u32::from(others_load),
            capacity: 10_000,
            ..Member::default()
        };
        let group = Group {
            others: vec![other],
            last_move: None,
        };
        Observation {
            load,
            offered: u32::from(load),
            capacity: 1_000,
            group: Some(group),
            ..healthy(at)
        }
    }

    #[test]
    fn an_idle_server_wakes_for_another_near_its_capacity_and_stays_awake_while_it_may_be_needed() {
        let serving = decide(&POLICY, in_state(State::Starting), &healthy(10));
        assert_eq!(after(serving, beside(100, 500, 0)).0, State::Serving);
        let idle = decide(&POLICY, serving, &beside(100, 499, 0));
        assert_eq!(idle.state, State::Idle);
        assert_eq!(after(idle, beside(101, 849, 0)).0, State::Idle);
        assert_eq!(after(idle, beside(101, 850, 0)), (State::Serving, Reason::OthersBusy));
    }

    #[test]
    fn only_a_serving_server_changes_its_class_and_that_is_a_decision() {
        let busy_for = |order, seconds: u64| {
            let seen = |at| Observation {
                last_inflow: Some(Timestamp::from_secs(at)),
                order,
                ..beside(at, 100, 900)
            };
            (1..=seconds).fold(in_state(State::Serving), |standing, at| decide(&POLICY, standing, &seen(at)))
        };
        let busy = busy_for(Order::Serve, 30);
        assert_eq!(
            (busy.cost.class, busy.class(), busy.decision),
            (CostClass::Busy, CostClass::Busy, 1)
        );
        assert_eq!(
            (busy.state, busy.since),
            (State::Serving, Timestamp::ZERO),
            "the state is as it was"
        );
        let draining = busy_for(Order::Drain, 30);
        assert_eq!((draining.cost.class, draining.decision), (CostClass::Normal, 1));
        let quiet = Observation {
            last_inflow: Some(Timestamp::from_secs(30)),
            ..beside(70, 100, 0)
        };
        assert_eq!(
            decide(&POLICY, busy, &quiet).state,
            State::Serving,
            "it sent its queries away itself, and is not idle"
        );
    }

    #[test]
    fn who_has_called_its_queries_back_waits_for_them_before_it_falls_idle() {
        let mut returned = in_state(State::Serving);
        returned.cost.returned = Some(Timestamp::from_secs(100));
        assert_eq!(after(returned, healthy(129)).0, State::Serving);
        assert_eq!(after(returned, healthy(130)).0, State::Idle);
    }

    #[test]
    fn the_last_resort_is_for_standby_drain_and_stop() {
        let classes = STATES.map(|state| in_state(state).class());
        let last = STATES.map(|state| matches!(state, State::Idle | State::Draining | State::Stopping));
        assert_eq!(classes.map(|class| class == CostClass::LastResort), last);
        assert_eq!(in_state(State::Idle).decision(&healthy(1), 1).class, CostClass::LastResort);
    }

    #[test]
    fn standby_can_be_turned_off() {
        let never = Policy {
            standby_after: Duration::ZERO,
            ..POLICY
        };
        let serving = decide(&never, in_state(State::Starting), &healthy(10));
        assert_eq!(decide(&never, serving, &healthy(1_000_000)).state, State::Serving);
    }

    #[test]
    fn drain_and_undrain() {
        let drain = Observation {
            order: Order::Drain,
            ..healthy(1)
        };
        let draining = decide(&POLICY, in_state(State::Serving), &drain);
        assert_eq!((draining.state, draining.reason), (State::Draining, Reason::DrainOrdered));
        assert_eq!(after(draining, healthy(2)), (State::Serving, Reason::DrainEnded));
    }

    fn any_observation() -> impl Strategy<Value = (Health, Health, Order, bool, u64)> {
        let health = || {
            prop_oneof![
                1 => Just(Health::Unknown),
                4 => Just(Health::Healthy),
                1 => Just(Health::Faulty(Fault::ProbeUnanswered)),
                1 => Just(Health::Faulty(Fault::InterfaceDown)),
            ]
        };
        (
            health(),
            health(),
            prop_oneof![3 => Just(Order::Serve), 1 => Just(Order::Drain)],
            any::<bool>(),
            0..20_u64,
        )
    }

    proptest! {
        #[test]
        fn only_healthy_servers_want_queries_and_decisions_count_changes(steps in prop::collection::vec(any_observation(), 1..60)) {
            let mut standing = Standing::starting(Timestamp::ZERO);
            let mut at = 0;
            for (service, link, order, other_holder, elapsed) in steps {
                at += elapsed;
                let seen = Observation { service, link, order, other_holder, ..healthy(at) };
                let next = decide(&POLICY, standing, &seen);
                let wants = matches!(next.state, State::Serving | State::Idle);
                prop_assert!(!wants || (service, link, order) == (Health::Healthy, Health::Healthy, Order::Serve));
                prop_assert_eq!(next.decision, standing.decision + u64::from(next.state != standing.state));
                prop_assert_eq!(decide(&POLICY, next, &seen), next, "the same observation decides nothing new");
                standing = next;
            }
        }
    }
}
