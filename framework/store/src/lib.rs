//! (see framework/ARCHITECTURE.md)
