//! OSPFv3 as the advertisement (claims 10 to 14): the server is its routers' neighbour, and the route to the service address
//! is an LSA of its own, with a cost that suits its situation.
//!
//! A host speaker of RFC 5340: priority 0, never a way through, one instance for each interface.

pub mod wire;
