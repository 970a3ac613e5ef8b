//! Enums whose cases have a word each, for records, settings and lists: cases, words and the list of all are one
//! table, so that none can lack.

/// An enum of plain cases, each with its word (`Case = "word"`). It gets `ALL`, in this order, and `name`.
macro_rules! named_enum {
    (
        $(#[$about:meta])*
        pub enum $type:ident {
            $($(#[$what:meta])* $case:ident = $word:literal,)+
        }
    ) => {
        $(#[$about])*
        pub enum $type {
            $($(#[$what])* $case,)+
        }

        impl $type {
            /// Each of them, in the order above.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$case),+];

            /// In one word, as it stands in records, settings and lists.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$case => $word,)+
                }
            }
        }
    };
}

pub(crate) use named_enum;
