//! Question -> plan -> bytes.
