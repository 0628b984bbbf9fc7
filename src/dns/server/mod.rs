//! Transports of the service process (300).
