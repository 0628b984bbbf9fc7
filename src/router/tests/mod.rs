//! The rules of the router side, one by one.
