//! The schema files in the repository are what the types generate, and the page for readers is true. `UPDATE_SCHEMA=1` writes both.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod reader;

use bothways_diagnose::schemas;
use std::fs;
use std::path::Path;

#[test]
fn schema_files_equal_the_types() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../mappings/schema");
    for file in schemas() {
        let path = folder.join(file.name);
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, file.text()).unwrap();
        }
        let written = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written == file.text(),
            "{} differs from the types; run this test with UPDATE_SCHEMA=1",
            path.display()
        );
    }
}
