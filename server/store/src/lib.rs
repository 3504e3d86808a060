//! akwatch-store
