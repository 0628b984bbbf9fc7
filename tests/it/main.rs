//! The tests that need no privileges: simulation, scenarios, vectors, real sockets on loopback, the tidy test.
