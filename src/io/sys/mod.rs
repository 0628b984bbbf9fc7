//! The only `unsafe` of the program: system calls and instructions that no crate offers as safe functions, behind safe ones.

#![allow(unsafe_code)]

pub mod memory;
pub mod mmsg;
pub mod packet;
pub mod prefetch;
