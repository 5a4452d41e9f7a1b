//! The environment: the `.env` file, and variables that may also come from files.

use bothways_model::Secret;
use std::cell::RefCell;
use std::path::Path;

/// Reads `.env` in the working folder into the environment; what is set there already stays. Must run before any thread starts.
///
/// # Errors
/// The file is there and cannot be read or understood.
pub(crate) fn read_dotenv(folder: &Path) -> anyhow::Result<bool> {
    let path = folder.join(".env");
    if !path.is_file() {
        return Ok(false);
    }
    match dotenvy::from_path(&path) {
        Ok(()) => Ok(true),
        // The crate's text repeats the line, which may hold a secret.
        Err(dotenvy::Error::LineParse(_, column)) => {
            anyhow::bail!(".env: a line cannot be read (at its column {column}); expected NAME=value")
        }
        Err(error) => anyhow::bail!(".env: {error}"),
    }
}

/// Whether others can read the folder's `.env`. It need not hold a secret, so that this is said and no reason to stop.
pub(crate) fn is_open_to_others(folder: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(folder.join(".env")).is_ok_and(|file| file.permissions().mode() & 0o077 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        false
    }
}

/// Variables by name, from the environment or from the file that `<NAME>_FILE` names. Collects what went wrong.
#[derive(Default)]
pub(crate) struct Variables {
    problems: RefCell<Vec<String>>,
}

impl Variables {
    /// The value, if there is one that is not empty.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        if let Some(value) = set(name) {
            return Some(value);
        }
        let file_name = format!("{name}_FILE");
        let path = set(&file_name)?;
        match read_secret_file(Path::new(&path)) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.problems.borrow_mut().push(format!("{file_name}: {problem}"));
                None
            }
        }
    }

    /// The value as a secret.
    pub(crate) fn secret(&self, name: &str) -> Option<Secret> {
        self.get(name).map(Secret::new)
    }

    /// What could not be read.
    pub(crate) fn problems(self) -> Vec<String> {
        self.problems.into_inner()
    }
}

fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// A file with a secret must be its owner's alone (`RULES.md` S23). Its last line break does not count.
fn read_secret_file(path: &Path) -> Result<String, String> {
    let show = path.display();
    let metadata = std::fs::metadata(path).map_err(|error| format!("{show}: {error}"))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(format!("{show} can be read by others; `chmod 600` it"));
        }
    }
    if metadata.len() > 64 * 1024 {
        return Err(format!("{show} is too large for a secret"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("{show}: {error}"))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn file(mode: u32, text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).expect("mode");
        file
    }

    #[test]
    fn a_file_of_its_owner_is_read_without_its_last_line_break() {
        assert_eq!(read_secret_file(file(0o600, "sk_test_1\n").path()), Ok("sk_test_1".into()));
        assert_eq!(read_secret_file(file(0o400, "a b").path()), Ok("a b".into()));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_without_its_text() {
        for mode in [0o640, 0o604, 0o660] {
            let problem = read_secret_file(file(mode, "sk_test_1").path()).expect_err("refused");
            assert!(problem.contains("chmod 600") && !problem.contains("sk_test_1"), "{problem}");
        }
    }

    #[test]
    fn a_line_of_the_dotenv_file_is_not_repeated() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(!read_dotenv(folder.path()).expect("no file"));
        std::fs::write(folder.path().join(".env"), "'sk_test_secret").expect("written");
        let error = read_dotenv(folder.path()).expect_err("unreadable").to_string();
        assert!(error.contains(".env") && !error.contains("sk_test_secret"), "{error}");
    }
}
