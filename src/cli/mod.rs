//! The command line: what can be typed, and which part does it.
