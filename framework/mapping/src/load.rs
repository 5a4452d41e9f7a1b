//! From files to a project, in named phases: syntax (`yaml`), shape (`typed`), building (`build`) and meaning (`check`).
//! Each phase reports all it finds, and later ones see only what earlier ones passed: a document without what has no
//! known shape in it, so that one slip of the pen hides nothing else.

use crate::build::{self, Cx, Place};
use crate::check::{environment, names, references, secrets, writers};
use crate::doc::{CatalogDoc, ConnectorDoc, MappingDoc};
use crate::finding::{Code, Finding, Severity, Source};
use crate::project::{Loaded, Project, SourceFile};
use crate::tree::Node;
use crate::typed;
use crate::yaml;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DocumentKind {
    /// How to talk to an API.
    Connector,
    /// What a table holds.
    Catalog,
    /// Which field is which.
    Mapping,
}

impl DocumentKind {
    /// All kinds.
    pub const ALL: [DocumentKind; 3] =
        [DocumentKind::Connector, DocumentKind::Catalog, DocumentKind::Mapping];

    /// The key that makes a document this kind.
    pub fn as_str(self) -> &'static str {
        match self {
            DocumentKind::Connector => "connector",
            DocumentKind::Catalog => "catalog",
            DocumentKind::Mapping => "mapping",
        }
    }

    /// The kind of a tree, if it is a map with exactly one of the three keys.
    pub fn of(node: &Node) -> Option<Self> {
        let mut kinds = Self::ALL.into_iter().filter(|kind| node.get(kind.as_str()).is_some());
        kinds.next().filter(|_| kinds.next().is_none())
    }
}

/// One file, its trees and what its syntax gave.
pub struct Parsed {
    /// The file's name.
    pub file: Arc<str>,
    /// Its text.
    pub text: Arc<str>,
    /// Its documents.
    pub documents: Vec<Node>,
    /// What is wrong with its syntax.
    pub findings: Vec<Finding>,
    /// The file could not be read to its end, so that nobody knows which names it gives.
    pub incomplete: bool,
}

impl Parsed {
    /// The syntax phase for one file.
    pub fn new(file: &SourceFile) -> Self {
        let name: Arc<str> = Arc::from(file.name.as_str());
        let (documents, findings) = yaml::parse(&name, &file.text);
        // A key that is there twice leaves the document as it is; everything else leaves it in doubt.
        let incomplete = findings.iter().any(|f| f.code != Code::Y004);
        let documents = if incomplete { Vec::new() } else { documents };
        Self { file: name, text: Arc::from(file.text.as_str()), documents, findings, incomplete }
    }
}

/// Loads `files`. `builtin` are the documents of compiled-in connectors; they are expected to be sound, and findings in them
/// are given like any others.
pub fn load(files: &[SourceFile], builtin: &[SourceFile]) -> Loaded {
    let parsed: Vec<Parsed> = files.iter().map(Parsed::new).collect();
    load_parsed(&parsed, builtin)
}

/// The phases after syntax, for whoever looks at the trees as well.
pub fn load_parsed(parsed: &[Parsed], builtin: &[SourceFile]) -> Loaded {
    let builtin: Vec<Parsed> = builtin.iter().map(Parsed::new).collect();
    let mut load = Load::default();
    for (file, compiled_in) in builtin.iter().map(|f| (f, true)).chain(parsed.iter().map(|f| (f, false))) {
        load.findings.extend(file.findings.iter().cloned());
        load.known.incomplete |= file.incomplete;
        for node in &file.documents {
            load.sort(file, node, compiled_in);
        }
    }
    load.build();
    load.finish()
}

/// A document with its type and place.
struct Typed<'a, T> {
    doc: T,
    /// What was left out of it, as pointers. What the maps around it seem to lack may be just that.
    pruned: Vec<String>,
    file: &'a Parsed,
    node: &'a Node,
    compiled_in: bool,
}

impl<'a, T> Typed<'a, T> {
    /// Drops what building said about a map that lacks what was left out of it.
    fn forgive(&self, findings: &mut Vec<Finding>, before: usize) {
        let mut index = 0;
        findings.retain(|finding| {
            index += 1;
            let of_pruned =
                |map: &String| *map == finding.pointer || map.starts_with(&format!("{}/", finding.pointer));
            index <= before || !self.pruned.iter().any(of_pruned)
        });
    }

    fn place(&self) -> Place<'a> {
        Place { file: &self.file.file, text: &self.file.text, node: self.node }
    }
}

/// A document with more mistakes of shape than this is none of ours.
const MOST_PRUNED: usize = 50;

#[derive(Default)]
struct Load<'a> {
    connectors: Vec<Typed<'a, ConnectorDoc>>,
    catalogs: Vec<Typed<'a, CatalogDoc>>,
    mappings: Vec<Typed<'a, MappingDoc>>,
    known: build::Known,
    project: Project,
    findings: Vec<Finding>,
}

impl<'a> Load<'a> {
    /// The shape phase of one document.
    fn sort(&mut self, file: &'a Parsed, node: &'a Node, compiled_in: bool) {
        secrets::check(&mut Cx::new(Place { file: &file.file, text: &file.text, node }, &mut self.findings));
        match DocumentKind::of(node) {
            None => self.findings.push(unknown_kind(&file.file, node)),
            Some(DocumentKind::Connector) => {
                if let Some((doc, pruned)) = self.read(file, node, DocumentKind::Connector) {
                    self.connectors.push(Typed { doc, pruned, file, node, compiled_in });
                }
            }
            Some(DocumentKind::Catalog) => {
                if let Some((doc, pruned)) = self.read(file, node, DocumentKind::Catalog) {
                    self.catalogs.push(Typed { doc, pruned, file, node, compiled_in });
                }
            }
            Some(DocumentKind::Mapping) => {
                if let Some((doc, pruned)) = self.read(file, node, DocumentKind::Mapping) {
                    self.mappings.push(Typed { doc, pruned, file, node, compiled_in });
                }
            }
        }
    }

    /// The document as its type, without what has no known shape in it, and where that was. Documents are small and rarely wrong, so
    /// each mistake may cost another reading.
    fn read<T: DeserializeOwned>(
        &mut self,
        file: &Parsed,
        node: &Node,
        kind: DocumentKind,
    ) -> Option<(T, Vec<String>)> {
        let mut pruned = Vec::new();
        let mut less: Option<Node> = None;
        loop {
            let error = match typed::read(less.as_ref().unwrap_or(node)) {
                Ok(doc) => return Some((doc, pruned)),
                Err(error) => error,
            };
            let pointer = error.pointer();
            let rest = less.as_ref().unwrap_or(node).without(&pointer).filter(|_| pruned.len() < MOST_PRUNED);
            self.findings.push(Finding {
                code: error.code,
                severity: Severity::Error,
                file: Arc::clone(&file.file),
                span: error.place.unwrap_or(node.span),
                pointer: pointer.clone(),
                message: error.message,
                help: error.help,
                masked: false,
            });
            let Some(rest) = rest else {
                let name = node.get(kind.as_str()).map(Node::to_json);
                self.known.broken.extend(name.as_ref().and_then(|n| n.as_str()).map(str::to_owned));
                return None;
            };
            pruned.push(pointer);
            less = Some(rest);
        }
    }

    /// Building and meaning, in the order in which documents refer to each other.
    fn build(&mut self) {
        let mut taken = names::Names::default();
        for typed in &self.connectors {
            let name = typed.doc.connector.0.clone();
            let before = self.findings.len();
            let spec = build::connector(&mut Cx::new(typed.place(), &mut self.findings), &typed.doc);
            typed.forgive(&mut self.findings, before);
            if typed.compiled_in {
                taken.compiled_in(&name);
            } else if !taken.take("connector", &name, spec.source.clone(), &mut self.findings) {
                continue;
            }
            self.known.connectors.insert(name, Arc::new(spec));
        }
        let mut taken = names::Names::default();
        let keys = self
            .catalogs
            .iter()
            .map(|typed| (typed.doc.catalog.0.clone(), build::key_type(&typed.doc)))
            .collect();
        for typed in &self.catalogs {
            let name = typed.doc.catalog.0.clone();
            let place = typed.place();
            let before = self.findings.len();
            let catalog = build::catalog(&mut Cx::new(place.clone(), &mut self.findings), &typed.doc, &keys);
            typed.forgive(&mut self.findings, before);
            if !taken.take("catalog", &name, place.source("/catalog"), &mut self.findings) {
                continue;
            }
            match catalog {
                Some(catalog) => {
                    self.project.places.insert(name.clone(), build::spans(&place));
                    self.known.catalogs.insert(name, Arc::new(catalog));
                }
                None => {
                    self.known.broken.insert(name);
                }
            }
        }
        let mut taken = names::Names::default();
        for typed in &self.mappings {
            let place = typed.place();
            let before = self.findings.len();
            let mappings =
                build::mapping(&mut Cx::new(place.clone(), &mut self.findings), &typed.doc, &self.known);
            typed.forgive(&mut self.findings, before);
            let unique =
                taken.take("mapping", &typed.doc.mapping.0, place.source("/mapping"), &mut self.findings);
            self.project.mappings.extend(mappings.into_iter().filter(|_| unique).map(Arc::new));
        }
        self.check_all();
        self.project.mappings.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// Meaning across documents.
    fn check_all(&mut self) {
        let mappings = &self.project.mappings;
        names::check_pairs(mappings, &mut self.findings);
        writers::check_all(mappings, &mut self.findings);
        references::check_all(mappings, &mut self.findings);
        let own = self.connectors.iter().filter(|c| !c.compiled_in);
        let trees = own
            .map(|c| (c.doc.connector.0.clone(), (Arc::clone(&c.file.file), c.node)))
            .collect::<BTreeMap<_, _>>();
        environment::check(mappings, &trees, &mut self.findings);
    }

    fn finish(mut self) -> Loaded {
        self.project.connectors = self.known.connectors;
        self.project.catalogs = self.known.catalogs;
        let mut findings = self.findings;
        sort(&mut findings);
        let errors = findings.iter().any(|f| f.severity == Severity::Error);
        Loaded { project: (!errors).then_some(self.project), findings }
    }
}

/// Sorts findings by file and place, and drops repetitions of one.
pub fn sort(findings: &mut Vec<Finding>) {
    findings.sort_by(|a, b| {
        (&a.file, a.span.start, a.severity, a.code).cmp(&(&b.file, b.span.start, b.severity, b.code))
    });
    let mut seen = BTreeSet::new();
    // Of several findings about one credential, one is enough.
    findings.retain(|f| {
        let what = if f.masked { String::new() } else { f.message.clone() };
        seen.insert((Arc::clone(&f.file), f.span, f.code, what))
    });
    // A place that holds a credential is masked by every finding about it.
    let masked: BTreeSet<_> =
        findings.iter().filter(|f| f.masked).map(|f| (Arc::clone(&f.file), f.span.line)).collect();
    for finding in findings {
        finding.masked |= masked.contains(&(Arc::clone(&finding.file), finding.span.line));
    }
}

fn unknown_kind(file: &Arc<str>, node: &Node) -> Finding {
    let first = node.entries().first();
    let kinds = DocumentKind::ALL.map(DocumentKind::as_str);
    let near = first.and_then(|e| crate::finding::nearest(&e.key, kinds));
    let several = kinds.iter().filter(|k| node.get(k).is_some()).count() > 1;
    let (message, help) = match (several, near) {
        (true, _) => (
            "a document is one of `connector`, `catalog` and `mapping`, and this is several".to_owned(),
            "put `---` between two documents".to_owned(),
        ),
        (false, Some(near)) => (
            "this is neither a connector, nor a catalog, nor a mapping".to_owned(),
            format!("did you mean `{near}`?"),
        ),
        (false, None) => (
            "this is neither a connector, nor a catalog, nor a mapping".to_owned(),
            "start it with `connector: NAME`, `catalog: NAME` or `mapping: NAME`".to_owned(),
        ),
    };
    Finding {
        code: Code::Y101,
        severity: Severity::Error,
        file: Arc::clone(file),
        span: first.map_or(node.span, |e| e.key_span),
        pointer: String::new(),
        message,
        help: Some(help),
        masked: false,
    }
}

/// Where the documents of a project were read; empty for those built by hand.
pub(crate) type Places = BTreeMap<String, BTreeMap<String, Source>>;
