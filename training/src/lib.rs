//! Graph differentiation, training, and the miniature world.
