//! `+ - * /` between values, and between a value and a number on either side.

use std::ops::{Add, Div, Mul, Neg, Sub};

use super::Expr;

macro_rules! arithmetic {
    ($($operator:ident $method:ident $op:literal;)*) => {$(
        arithmetic!(@pair $operator $method $op; [Expr, Expr] [Expr, &Expr] [&Expr, Expr] [&Expr, &Expr]);

        impl $operator<f32> for Expr {
            type Output = Expr;
            fn $method(self, number: f32) -> Expr {
                (&self).$method(number)
            }
        }

        impl $operator<f32> for &Expr {
            type Output = Expr;
            fn $method(self, number: f32) -> Expr {
                self.$method(self.scalar(number))
            }
        }

        impl $operator<Expr> for f32 {
            type Output = Expr;
            fn $method(self, value: Expr) -> Expr {
                self.$method(&value)
            }
        }

        impl $operator<&Expr> for f32 {
            type Output = Expr;
            fn $method(self, value: &Expr) -> Expr {
                value.scalar(self).$method(value)
            }
        }
    )*};
    (@pair $operator:ident $method:ident $op:literal; $([$left:ty, $right:ty])*) => {$(
        impl $operator<$right> for $left {
            type Output = Expr;
            #[allow(clippy::needless_borrow)]
            fn $method(self, other: $right) -> Expr {
                Expr::uniform($op, &[&self, &other], self.dtype, &[])
            }
        }
    )*};
}

arithmetic! {
    Add add "Add";
    Sub sub "Sub";
    Mul mul "Mul";
    Div div "Div";
}

impl Neg for Expr {
    type Output = Self;
    fn neg(self) -> Self {
        self.unary("Neg")
    }
}

impl Neg for &Expr {
    type Output = Expr;
    fn neg(self) -> Expr {
        self.unary("Neg")
    }
}
