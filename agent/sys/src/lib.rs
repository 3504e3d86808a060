//! akwatch-sys
