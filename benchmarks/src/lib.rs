//! See engine/ARCHITECTURE.md.
