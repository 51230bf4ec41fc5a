//! Tables of words that users meet.
//!
//! In: documented constants. Out: the constants, and the same as a table, so that code, tests and
//! the reference cannot differ. Never: a word without a meaning.

/// Declares `pub const NAME: &str = "Word";` for each entry, and `ALL: &[(word, meaning)]`.
macro_rules! words {
    ($( $(#[doc = $meaning:literal])+ $name:ident = $word:literal; )+) => {
        $( $(#[doc = $meaning])+ pub const $name: &str = $word; )+

        /// Every word of this table with its meaning.
        pub const ALL: &[(&str, &str)] = &[ $( ($word, concat!($($meaning),+)) ),+ ];
    };
}
