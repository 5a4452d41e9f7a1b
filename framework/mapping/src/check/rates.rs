//! M310: a call's own `rate` is known by its method and path, which must therefore be the call's own.

use crate::build::Cx;
use crate::connector::{Call, ConnectorSpec};
use crate::finding::{Code, Severity};
use crate::template::{Part, Template};

/// Refuses a rate that would hold for another call as well.
pub(crate) fn check(cx: &mut Cx<'_>, spec: &ConnectorSpec) {
    let calls: Vec<&Call> = spec.resources.values().flat_map(|resource| resource.calls()).collect();
    let rated = calls.iter().filter(|call| call.rate.is_some());
    for call in rated {
        let shape = Shape::of(&call.path);
        let taken = calls.iter().find(|other| {
            let its = Shape::of(&other.path);
            // Of two rates the one with the fewer holes counts.
            let has_its_own = other.rate.is_some() && its.holes() < shape.holes();
            other.method == call.method && other.rate != call.rate && !has_its_own && shape.covers(&its)
        });
        let Some(taken) = taken else { continue };
        let message = format!(
            "the `rate` of this call would hold for line {} as well, which has the same method and path",
            taken.source.span.line
        );
        cx.report_span(Code::M310, Severity::Error, "/resources", call.source.span, message)
            .help("give both the same `rate`, or move it to `http.rate`");
    }
}

/// The segments of a path, each with what stands before and after its hole.
struct Shape(Vec<Segment>);

enum Segment {
    Text(String),
    Hole(String, String),
}

/// What stands for a hole while a path is taken apart; no path holds it.
const HOLE: char = '\0';

impl Shape {
    fn of(path: &Template) -> Self {
        let mut text = String::new();
        for part in &path.0 {
            match part {
                Part::Text(piece) | Part::Var(piece) => text.push_str(piece),
                Part::Slot(_) => text.push(HOLE),
            }
        }
        let segment = |text: &str| match (text.split_once(HOLE), text.rsplit_once(HOLE)) {
            (Some((before, _)), Some((_, after))) => Segment::Hole(before.to_owned(), after.to_owned()),
            _ => Segment::Text(text.to_owned()),
        };
        Self(text.split('/').map(segment).collect())
    }

    fn holes(&self) -> usize {
        self.0.iter().filter(|segment| matches!(segment, Segment::Hole(..))).count()
    }

    /// Whether requests of the other shape may be taken for this one. That an id is the very word of a fixed path is not expected.
    fn covers(&self, other: &Self) -> bool {
        let covers = |pair: (&Segment, &Segment)| match pair {
            (Segment::Text(text), Segment::Text(other)) => text == other,
            (Segment::Hole(before, after), Segment::Text(other)) => other
                .strip_prefix(before.as_str())
                .is_some_and(|rest| rest.len() > after.len() && rest.ends_with(after)),
            (Segment::Hole(..), Segment::Hole(..)) => true,
            (Segment::Text(_), Segment::Hole(..)) => false,
        };
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(covers)
    }
}
