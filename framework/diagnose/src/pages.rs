//! One page for each code, in the binary: `bothways explain-code M204`.

use bothways_mapping::Code;

macro_rules! pages {
    ($($code:ident)*) => {
        /// The page of `code`, Markdown.
        pub fn page(code: Code) -> &'static str {
            match code {
                $(Code::$code => include_str!(concat!("../codes/", stringify!($code), ".md")),)*
            }
        }
    };
}

pages! {
    Y001 Y002 Y003 Y004 Y005 Y006 Y007 Y008 Y009
    Y101 Y102 Y103 Y104 Y105 Y106 Y107 Y108 Y109 Y110 Y111 Y112
    M101 M102 M103 M104 M201 M202 M203 M204 M205
    M301 M302 M303 M304 M305 M306 M307 M308 M309 M310 M401 M402 M501
    T001 T002
}
