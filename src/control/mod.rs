//! Control: admin socket and web.
