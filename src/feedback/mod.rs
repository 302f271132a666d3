//! What people think of pictures: votes, and the datasets that are made of them.

pub mod dataset;
