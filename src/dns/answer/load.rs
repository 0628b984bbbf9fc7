//! What `load.heraldns. CH TXT` says: the load of this server, to all who may ask `id.server.`.

use std::io::Write;

use crate::base::cost::CostClass;

/// The name of class CH that asks for the load.
pub(super) const LOAD_NAME: &[u8] = b"\x04load\x08heraldns\0";
/// Octets of the longest text.
pub(super) const LONGEST: usize = 48;

/// The load of this server as the network is told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// In thousandths of its capacity.
    pub load: u16,
    /// The same over the last second or two.
    pub recent_load: u16,
    /// The cost class.
    pub class: CostClass,
}

impl Load {
    /// Nothing is asked.
    pub const ZERO: Self = Self {
        load: 0,
        recent_load: 0,
        class: CostClass::Normal,
    };

    /// Writes it as text to the start of `room`.
    pub(super) fn text(self, room: &mut [u8; LONGEST]) -> &[u8] {
        let mut rest = &mut room[..];
        let Self { load, recent_load, class } = self;
        // The longest text fits, as the test sees; what did not would be left out.
        let _ = write!(rest, "load={load} recent={recent_load} class={}", class.name());
        let left = rest.len();
        &room[..LONGEST - left]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_text_fits() {
        let most = Load {
            load: u16::MAX,
            recent_load: u16::MAX,
            class: CostClass::LastResort,
        };
        let mut room = [0; LONGEST];
        assert_eq!(most.text(&mut room), b"load=65535 recent=65535 class=last-resort");
        assert_eq!(Load::ZERO.text(&mut room), b"load=0 recent=0 class=normal");
    }
}
