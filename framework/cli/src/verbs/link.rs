//! `link`: says that a row and a remote record are the same thing, one by one or from a CSV file.

use crate::cli::Link;
use crate::opened::{Opened, person};
use crate::output::{Ended, Output, talk};
use crate::settings::Settings;
use anyhow::Context;
use bothways_engine::EngineError;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::Path;

/// One line of the file.
#[derive(Debug, Deserialize, PartialEq)]
struct Row {
    local: String,
    remote: String,
}

/// What became of one line.
#[derive(Debug, Serialize)]
struct Done {
    local: String,
    remote: String,
    link: Option<String>,
    refused: Option<String>,
}

pub(super) async fn run(settings: &Settings, args: &Link, out: Output) -> anyhow::Result<Ended> {
    let rows = match (&args.from, args.ids.as_slice()) {
        (Some(path), _) => read_file(path)?,
        (None, [local, remote]) => vec![Row { local: local.clone(), remote: remote.clone() }],
        (None, _) => anyhow::bail!("name a local id and a remote id, or a file with --from"),
    };
    let opened = Opened::open(settings).await?;
    let pair = opened.operations.pair(args.mapping.as_deref())?;
    let name = Some(pair.mapping.name.as_str());
    let by = person();
    let (mut linked, mut refused) = (0_u64, 0_u64);
    for row in rows {
        let (local, remote) = (row.local.as_str().into(), row.remote.as_str().into());
        let mut done = Done { local: row.local, remote: row.remote, link: None, refused: None };
        match opened.operations.link(name, &local, &remote, &by).await {
            Ok(link) => {
                linked += 1;
                done.link = Some(link.to_string());
            }
            Err(EngineError::Refused(why)) => done.refused = Some(why),
            Err(EngineError::NotFound(what)) => done.refused = Some(format!("there is no {what}")),
            Err(error) => return Err(error.into()),
        }
        refused += u64::from(done.refused.is_some());
        if out.is_json() {
            out.json_line(&done)?;
        } else if let Some(why) = &done.refused {
            talk(format!("not linked: {} and {}: {why}", done.local, done.remote));
        }
    }
    talk(format!("{linked} linked, {refused} refused; both sides of each are compared at the next look"));
    Ok(Ended::waiting_if(refused > 0))
}

fn read_file(path: &Path) -> anyhow::Result<Vec<Row>> {
    if path == Path::new("-") {
        return read_rows(std::io::stdin().lock()).context("stdin");
    }
    let file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
    read_rows(file).with_context(|| path.display().to_string())
}

fn read_rows(from: impl Read) -> anyhow::Result<Vec<Row>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(from);
    let mut rows = Vec::new();
    for row in reader.deserialize() {
        let row: Row = row.context("expected the columns local and remote")?;
        anyhow::ensure!(
            !row.local.is_empty() && !row.remote.is_empty(),
            "row {} has an empty id",
            rows.len() + 1
        );
        rows.push(row);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name() {
        let rows = read_rows("name,remote,local\nA,cus_1,1\nB, cus_2 ,2\n".as_bytes()).expect("read");
        let row = |local: &str, remote: &str| Row { local: local.into(), remote: remote.into() };
        assert_eq!(rows, [row("1", "cus_1"), row("2", "cus_2")]);
    }

    #[test]
    fn a_file_without_them_is_refused() {
        assert!(read_rows("1,cus_1\n2,cus_2\n".as_bytes()).is_err());
        assert!(read_rows("local,remote\n1,\n".as_bytes()).is_err());
    }
}
