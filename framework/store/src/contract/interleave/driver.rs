//! Runs two rivals in every order of their steps, and judges what came of it.

use super::gate::Actor;
use super::{Call, Gate, Point, Stage, Theatre, everything};
use crate::{Result, StoreErrorKind};
use futures::future::BoxFuture;
use std::sync::Arc;

/// One of two that run against each other.
#[derive(Clone, Copy)]
pub enum Rival {
    /// A store call.
    Call(Call),
    /// A transaction of another program, by name.
    Foreign(&'static str),
}

impl Rival {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Rival::Call(call) => call.name,
            Rival::Foreign(name) => name,
        }
    }

    fn start<'a>(
        &self,
        stage: &'a dyn Stage,
        actor: usize,
        gate: Arc<Gate>,
    ) -> BoxFuture<'a, Result<String>> {
        match *self {
            Rival::Call(call) => stage.gated(gate, (call.run)(stage.store(actor), stage.scene())),
            Rival::Foreign(name) => stage.foreign(gate, name),
        }
    }
}

/// What is seen of two rivals: both answers, and what is stored afterwards.
#[derive(PartialEq, Eq)]
struct Seen {
    answers: [String; 2],
    stored: String,
}

/// What the two serial orders give.
pub struct Orders {
    /// By who comes first.
    serial: [Seen; 2],
    /// All that can be asked afterwards, by who comes first.
    asked: [String; 2],
}

impl Orders {
    /// Runs both orders, one call wholly after the other.
    pub async fn of(theatre: &dyn Theatre, rivals: &[Rival; 2]) -> Self {
        let (first, asked_first) = in_order(theatre, rivals, [0, 1]).await;
        let (second, asked_second) = in_order(theatre, rivals, [1, 0]).await;
        Self { serial: [first, second], asked: [asked_first, asked_second] }
    }

    /// Whether another kind of store answers the same in both orders.
    ///
    /// # Errors
    /// What differs.
    pub fn agree(&self, other: &Self) -> std::result::Result<(), String> {
        for order in 0..2 {
            let (here, there) = (&self.serial[order].answers, &other.serial[order].answers);
            if here != there || self.asked[order] != other.asked[order] {
                return Err(format!(
                    "the stores differ when {order} is first{}{}{}",
                    difference(&here[0], &there[0]),
                    difference(&here[1], &there[1]),
                    difference(&self.asked[order], &other.asked[order])
                ));
            }
        }
        Ok(())
    }
}

async fn in_order(theatre: &dyn Theatre, rivals: &[Rival; 2], order: [usize; 2]) -> (Seen, String) {
    let stage = theatre.stage().await;
    let mut answers = [String::new(), String::new()];
    for actor in order {
        answers[actor] = undisturbed(&*stage, rivals, actor).await;
    }
    let seen = Seen { answers, stored: stage.stored().await };
    (seen, everything(stage.store(0), stage.scene()).await)
}

/// Runs one rival while nobody else does anything.
async fn undisturbed(stage: &dyn Stage, rivals: &[Rival; 2], actor: usize) -> String {
    for _ in 0..TRIES {
        match rivals[actor].start(stage, actor, Gate::always_open()).await {
            Ok(answer) => return answer,
            // What a call before it left to be rolled back is rolled back in a moment.
            Err(error) if error.kind == StoreErrorKind::Retry => stage.pause().await,
            Err(error) => return format!("{:?}", error.kind),
        }
    }
    panic!("{} finds the database busy all by itself", rivals[actor].name());
}

/// How often a call is made again while the end of another is still on its way to the database.
const TRIES: usize = 500;

/// The choices of one run, and what is left to choose.
#[derive(Default)]
struct Script {
    /// At each step: who went on, and between how many one could choose.
    taken: Vec<(usize, usize)>,
    at: usize,
}

impl Script {
    fn choose(&mut self, options: usize) -> usize {
        if self.at == self.taken.len() {
            self.taken.push((0, options));
        }
        let slot = &mut self.taken[self.at];
        // A rollback under way may have made a step ready sooner or later than the last time.
        slot.1 = options;
        self.at += 1;
        slot.0.min(options - 1)
    }

    /// Goes on to the next order. False if this was the last.
    fn advance(&mut self) -> bool {
        self.taken.truncate(self.at);
        self.at = 0;
        while let Some((chosen, options)) = self.taken.pop() {
            if chosen + 1 < options {
                self.taken.push((chosen + 1, options));
                return true;
            }
        }
        false
    }
}

/// Two rivals on a stage.
struct Run<'a> {
    stage: &'a dyn Stage,
    rivals: &'a [Rival; 2],
    actors: [Actor<'a>; 2],
    /// Who found the database busy and is made again when the other is over.
    sent_away: [bool; 2],
    steps: Vec<String>,
}

impl<'a> Run<'a> {
    fn new(stage: &'a dyn Stage, rivals: &'a [Rival; 2]) -> Self {
        let actor = |n: usize| {
            let gate = Arc::new(Gate::default());
            Actor::new(gate.clone(), rivals[n].start(stage, n, gate))
        };
        let actors = [actor(0), actor(1)];
        Self { stage, rivals, actors, sent_away: [false; 2], steps: Vec::new() }
    }

    /// Who could go on.
    fn ready(&self) -> Vec<usize> {
        (0..2).filter(|n| !self.actors[*n].is_over() && !self.actors[*n].blocked).collect()
    }

    /// Lets one go on by one step.
    async fn step(&mut self, who: usize) -> std::result::Result<(), String> {
        if !self.actors[who].started {
            self.actors[who].settle().await;
            // In one process it counts who was there first, even if it has to wait for its turn.
            if self.stage.is_shared() {
                self.steps.push(format!("{who}: comes"));
                return Ok(());
            }
        }
        // Between processes there are no turns.
        while !self.stage.is_shared() && matches!(self.actors[who].at(), Some(Point::Turn { .. })) {
            self.actors[who].open();
            self.actors[who].settle().await;
        }
        let (at, other) = (self.actors[who].at(), 1 - who);
        self.steps.push(format!("{who}: {}", at.as_ref().map_or_else(String::new, told)));
        let in_process =
            self.stage.is_shared() && matches!(at, Some(Point::Turn { .. })) && self.actors[other].has_turn;
        let had_reason = self.actors[other].in_transaction || self.actors[other].is_over();
        let had_locked = self.actors[who].wants_lock();
        self.actors[who].open();
        if in_process {
            self.actors[who].blocked = true;
        } else {
            self.actors[who].settle().await;
        }
        if self.actors[other].blocked {
            if self.actors[who].is_over() {
                self.actors[other].settle().await;
            } else if !self.actors[other].is_still_blocked().await {
                return Err(format!("{other} went on although the other was not over"));
            }
        }
        if self.actors[who].was_busy() {
            if !had_locked || !had_reason {
                return Err(format!("{who} was told that the database is busy without a reason"));
            }
            self.sent_away[who] = true;
        }
        self.make_again().await
    }

    /// Whoever was sent away comes back when the other is over.
    async fn make_again(&mut self) -> std::result::Result<(), String> {
        for who in 0..2 {
            if !self.sent_away[who] || !self.actors[1 - who].is_over() || self.sent_away[1 - who] {
                continue;
            }
            self.sent_away[who] = false;
            self.steps.push(format!("{who}: again"));
            let answer = undisturbed(self.stage, self.rivals, who).await;
            self.actors[who].answer = Some(Ok(answer));
        }
        Ok(())
    }

    /// Drops one as if its process had died.
    fn kill(&mut self, who: usize) {
        self.steps.push(format!("{who}: dies"));
        let gate = Arc::new(Gate::default());
        self.actors[who] = Actor::new(gate, Box::pin(futures::future::pending()));
    }

    fn answer(&self, who: usize) -> String {
        match &self.actors[who].answer {
            Some(Ok(answer)) => answer.clone(),
            Some(Err(error)) => format!("{:?}", error.kind),
            None => "no answer".to_owned(),
        }
    }

    fn failure(&self, why: &str) -> String {
        format!(
            "`{}` against `{}`: {why}\nin this order:\n  {}",
            self.rivals[0].name(),
            self.rivals[1].name(),
            self.steps.join("\n  ")
        )
    }
}

fn told(point: &Point) -> String {
    match point {
        Point::Statement(sql) => sql.chars().take(90).collect(),
        other => format!("{other:?}"),
    }
}

/// What differs first.
fn difference(seen: &str, expected: &str) -> String {
    let differs = seen.lines().zip(expected.lines()).find(|(a, b)| a != b);
    match differs {
        Some((a, b)) => format!("\n  seen:     {a}\n  expected: {b}"),
        None => format!("\n  {} lines seen, {} expected", seen.lines().count(), expected.lines().count()),
    }
}

/// Runs both in every order of their steps. Whoever finds the database busy is told so at once. Returns how many orders there were.
///
/// # Errors
/// What went wrong, with the order it went wrong in.
pub async fn explore(
    theatre: &dyn Theatre,
    rivals: &[Rival; 2],
    orders: &Orders,
) -> std::result::Result<usize, String> {
    let mut script = Script::default();
    let mut count = 0;
    loop {
        let stage = theatre.stage().await;
        let mut run = Run::new(&*stage, rivals);
        // Who was over before the other had done anything comes first, whatever else.
        let mut first = None;
        loop {
            let ready = run.ready();
            let Some(who) = (!ready.is_empty()).then(|| ready[script.choose(ready.len())]) else { break };
            if !run.actors[who].started && run.actors[1 - who].is_over() && !run.sent_away[1 - who] {
                first = first.or(Some(1 - who));
            }
            if let Err(why) = run.step(who).await {
                return Err(run.failure(&why));
            }
        }
        let seen = Seen { answers: [run.answer(0), run.answer(1)], stored: stage.stored().await };
        let allowed = |order: usize| first.is_none_or(|first| first == order);
        if !(0..2).any(|order| allowed(order) && seen == orders.serial[order]) {
            let near = (0..2).find(|o| allowed(*o) && seen.answers == orders.serial[*o].answers);
            let near = near.or(first).unwrap_or(0);
            let expected = &orders.serial[near];
            let why = format!(
                "the result is that of neither order{}{}{}",
                difference(&seen.answers[0], &expected.answers[0]),
                difference(&seen.answers[1], &expected.answers[1]),
                difference(&seen.stored, &expected.stored)
            );
            return Err(run.failure(&why));
        }
        count += 1;
        if !script.advance() {
            return Ok(count);
        }
    }
}

/// Runs the first rival up to each of its steps, kills it there, and then runs the second: the first must have done nothing, or
/// everything. Returns how many deaths there were.
///
/// # Errors
/// As for [`explore`].
pub async fn explore_with_deaths(
    theatre: &dyn Theatre,
    rivals: &[Rival; 2],
    orders: &Orders,
) -> std::result::Result<usize, String> {
    let stage = theatre.stage().await;
    let alone = Seen {
        answers: [String::new(), undisturbed(&*stage, rivals, 1).await],
        stored: stage.stored().await,
    };
    drop(stage);
    for deaths in 0.. {
        let stage = theatre.stage().await;
        let mut run = Run::new(&*stage, rivals);
        for _ in 0..deaths {
            if !run.actors[0].is_over()
                && let Err(why) = run.step(0).await
            {
                return Err(run.failure(&why));
            }
        }
        if run.actors[0].is_over() {
            return Ok(deaths);
        }
        run.kill(0);
        run.kill(1);
        let answer = undisturbed(&*stage, rivals, 1).await;
        let stored = stage.stored().await;
        let nothing = answer == alone.answers[1] && stored == alone.stored;
        // A statement outside a transaction is done when it is done.
        let all = answer == orders.serial[0].answers[1] && stored == orders.serial[0].stored;
        if !nothing && !all {
            let why = format!(
                "a dead call has done a part{}{}",
                difference(&answer, &alone.answers[1]),
                difference(&stored, &alone.stored)
            );
            return Err(run.failure(&why));
        }
    }
    Ok(0)
}
