//! The `plaudit` command.

fn main() {}
