//! A judge that sees only pixels.
