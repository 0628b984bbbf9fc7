//! The only folder that touches sockets, clocks, files and the kernel.

pub mod sys;
