//! Counters that the service process (300) and the monitoring means (304) share.
