//! The only unsafe code: system calls that no library of ours wraps, with safe types outwards.

#![allow(unsafe_code)]

pub mod mmsg;
