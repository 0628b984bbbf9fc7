//! Record types, classes, response codes.
