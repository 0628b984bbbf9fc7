//! Names of the DNS in wire form.
