//! The router side (claims 5, 15 to 17): a Linux router that delivers to several servers.

pub(crate) mod kernel;
pub(crate) mod sinks;
