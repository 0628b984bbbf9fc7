//! Zone files and zones.
