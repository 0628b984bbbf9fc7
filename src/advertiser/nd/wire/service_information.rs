//! Option 253 of our advertisements: what a server says of itself and of its load (claim 16).
//!
//! 253 is a number for experiments (RFC 4727 §4.1.3) that others may use too, hence the `HD`. Routers ignore options they
//! do not know (RFC 4861 §4.6). A later version only adds after these fields.

use super::Malformed;
use crate::base::peer::{IdentityHash, PeerState};

pub(super) const OPTION: u8 = 253;
const MAGIC: [u8; 2] = *b"HD";
const VERSION: u8 = 1;
/// In units of 8 octets, type and length included.
const LENGTH: u8 = 4;
const FLAG_HAND_OVER: u8 = 0x01;
const FLAG_RECENT_LOAD: u8 = 0x02;
const WORST_CLASS: u8 = 3;

/// What a server says of itself in an advertisement.
///
/// ```text
/// | type 253  | length 4  |  'H'      |  'D'      |
/// | version 1 | state     | class     | flags     |
/// | weight                | load, permille        |
/// | term                                          |
/// | sequence                                      |
/// | identity hash                                 |
/// |                                               |
/// | health    | reserved  | recent load, permille |
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceInformation {
    /// Its state; `Standby`: this is the last one before idle standby.
    pub state: PeerState,
    /// Its cost class, 0 to 3.
    pub class: u8,
    /// Flag 1: it is leaving, and option 2 carries the link-layer address of the server that takes over.
    pub hand_over: bool,
    /// Its weight.
    pub weight: u16,
    /// Its load in thousandths of its capacity, over the last 10 s.
    pub load: u16,
    /// Flag 2: the same over the last second or two, for a router side.
    pub recent_load: Option<u16>,
    /// Its term.
    pub term: u32,
    /// Counts its advertisements.
    pub sequence: u32,
    /// Who it is.
    pub identity: IdentityHash,
    /// Its health, higher is better.
    pub health: u8,
}

impl ServiceInformation {
    /// Reads what follows type and length; `None`: the option is somebody else's.
    pub(super) fn parse(body: &[u8]) -> Result<Option<Self>, Malformed> {
        let [first, second, version, ..] = *body else { return Ok(None) };
        if [first, second] != MAGIC || version < VERSION {
            return Ok(None);
        }
        let Some(fields) = body.first_chunk::<30>() else {
            return Err(Malformed::InformationShort(((body.len() + 2) / 8) as u8));
        };
        let [_, _, _, state, class, flags, weight0, weight1, load0, load1, numbers @ ..] = *fields;
        let [
            t0,
            t1,
            t2,
            t3,
            s0,
            s1,
            s2,
            s3,
            i0,
            i1,
            i2,
            i3,
            i4,
            i5,
            i6,
            i7,
            health,
            _,
            recent0,
            recent1,
        ] = numbers;
        if class > WORST_CLASS {
            return Err(Malformed::InformationClass(class));
        }
        Ok(Some(Self {
            state: PeerState::from_wire(state).ok_or(Malformed::InformationState(state))?,
            class,
            hand_over: flags & FLAG_HAND_OVER != 0,
            weight: u16::from_be_bytes([weight0, weight1]),
            load: u16::from_be_bytes([load0, load1]),
            recent_load: (flags & FLAG_RECENT_LOAD != 0).then_some(u16::from_be_bytes([recent0, recent1])),
            term: u32::from_be_bytes([t0, t1, t2, t3]),
            sequence: u32::from_be_bytes([s0, s1, s2, s3]),
            identity: IdentityHash(u64::from_be_bytes([i0, i1, i2, i3, i4, i5, i6, i7])),
            health,
        }))
    }

    pub(super) fn emit(&self, bytes: &mut Vec<u8>) {
        bytes.extend([OPTION, LENGTH]);
        bytes.extend(MAGIC);
        let flag = |set, flag| if set { flag } else { 0 };
        let flags = flag(self.hand_over, FLAG_HAND_OVER) | flag(self.recent_load.is_some(), FLAG_RECENT_LOAD);
        let [recent0, recent1] = self.recent_load.unwrap_or_default().to_be_bytes();
        bytes.extend([VERSION, self.state as u8, self.class, flags]);
        bytes.extend(self.weight.to_be_bytes());
        bytes.extend(self.load.to_be_bytes());
        bytes.extend(self.term.to_be_bytes());
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.identity.0.to_be_bytes());
        bytes.extend([self.health, 0, recent0, recent1]);
    }
}
