//! Monitoring means (304).
