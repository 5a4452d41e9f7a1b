//! The executor that the simulator owns: it polls every future itself, in an order drawn from the seed, in virtual time.
//!
//! Time stands still while anything can run. A task belongs to a process; a process that is dead is never polled again, one that is
//! frozen (a suspended machine, a long pause of the scheduler) is polled when it thaws, without having noticed.

use crate::dice::Dice;
use futures::future::BoxFuture;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// A simulated process. 0 is the world around them: users, the network, the service.
pub(crate) type Pid = u64;

/// The world's own tasks.
pub(crate) const WORLD: Pid = 0;

/// Tasks that can run, by number: the order in which something woke them is not the seed's and must not matter.
type Ready = Arc<Mutex<BTreeMap<u64, Arc<TaskWaker>>>>;

struct TaskWaker {
    id: u64,
    queued: AtomicBool,
    ready: Ready,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        Self::wake_by_ref(&self);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            lock(&self.ready).insert(self.id, self.clone());
        }
    }
}

struct Task {
    pid: Pid,
    name: &'static str,
    future: BoxFuture<'static, ()>,
    waker: Arc<TaskWaker>,
}

#[derive(Default)]
struct Inner {
    /// Microseconds since the start.
    now: u64,
    last_task: u64,
    /// The task that is being polled.
    polled: u64,
    tasks: BTreeMap<u64, Task>,
    timers: BTreeMap<(u64, u64), Waker>,
    last_timer: u64,
    dead: BTreeSet<Pid>,
    /// Frozen until then, with the tasks that would have run.
    frozen: BTreeMap<Pid, (u64, Vec<Arc<TaskWaker>>)>,
    /// When a process was last frozen, its end.
    thawed: BTreeMap<Pid, u64>,
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A task was polled.
    Polled { task: u64, name: &'static str },
    /// Time moved.
    Advanced,
    /// Nothing can ever happen again.
    Idle,
}

/// A task panicked.
#[derive(Clone, Debug)]
pub(crate) struct Panicked {
    pub(crate) task: &'static str,
    pub(crate) message: String,
}

/// Tasks and time.
pub(crate) struct Executor {
    inner: Mutex<Inner>,
    ready: Ready,
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Executor {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { inner: Mutex::default(), ready: Ready::default() })
    }

    /// Microseconds since the start.
    pub(crate) fn now(&self) -> u64 {
        lock(&self.inner).now
    }

    pub(crate) fn spawn(
        &self,
        pid: Pid,
        name: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) {
        self.spawn_boxed(pid, name, Box::pin(future));
    }

    pub(crate) fn spawn_boxed(&self, pid: Pid, name: &'static str, future: BoxFuture<'static, ()>) {
        let mut inner = lock(&self.inner);
        if inner.dead.contains(&pid) {
            drop(inner);
            drop(future);
            return;
        }
        inner.last_task += 1;
        let id = inner.last_task;
        let waker = Arc::new(TaskWaker { id, queued: AtomicBool::new(false), ready: self.ready.clone() });
        inner.tasks.insert(id, Task { pid, name, future, waker: waker.clone() });
        drop(inner);
        waker.wake();
    }

    /// The process runs no further: none of its tasks is ever polled again.
    pub(crate) fn kill(&self, pid: Pid) {
        let mut inner = lock(&self.inner);
        inner.dead.insert(pid);
        inner.frozen.remove(&pid);
    }

    /// The process is not scheduled for so long.
    pub(crate) fn freeze(&self, pid: Pid, time: Duration) {
        let mut inner = lock(&self.inner);
        let until = inner.now + micros(time);
        let frozen = inner.frozen.entry(pid).or_default();
        frozen.0 = frozen.0.max(until);
    }

    /// Whether the process is not scheduled now.
    pub(crate) fn is_frozen(&self, pid: Pid) -> bool {
        let inner = lock(&self.inner);
        inner.frozen.get(&pid).is_some_and(|(until, _)| *until > inner.now)
    }

    /// When the process was last frozen, its end; 0 if it never was.
    pub(crate) fn thawed_at(&self, pid: Pid) -> u64 {
        lock(&self.inner).thawed.get(&pid).copied().unwrap_or(0)
    }

    /// The task that is being polled.
    pub(crate) fn this_task(&self) -> u64 {
        lock(&self.inner).polled
    }

    /// Whether some process that is not dead is not scheduled now.
    pub(crate) fn is_anyone_frozen(&self) -> bool {
        let inner = lock(&self.inner);
        inner.frozen.values().any(|(until, _)| *until > inner.now)
    }

    /// Frees what dead processes held. Their ports are dead by then, so nothing comes of any `Drop`.
    fn bury(&self) {
        let buried: Vec<Task> = {
            let mut inner = lock(&self.inner);
            if inner.dead.is_empty() {
                return;
            }
            let dead: Vec<u64> =
                inner.tasks.iter().filter(|(_, t)| inner.dead.contains(&t.pid)).map(|(id, _)| *id).collect();
            dead.iter().filter_map(|id| inner.tasks.remove(id)).collect()
        };
        drop(buried);
    }

    /// Lets one thing happen.
    ///
    /// # Errors
    /// The task that ran panicked.
    pub(crate) fn step(&self, dice: &mut Dice) -> Result<Step, Panicked> {
        let chosen = {
            let mut ready = lock(&self.ready);
            let index = usize::try_from(dice.below(ready.len() as u64)).unwrap_or(0);
            let id = ready.keys().nth(index).copied();
            id.and_then(|id| ready.remove(&id))
        };
        let Some(waker) = chosen else { return Ok(self.advance()) };
        waker.queued.store(false, Ordering::Relaxed);
        let id = waker.id;
        let task = {
            let mut inner = lock(&self.inner);
            let Some(task) = inner.tasks.remove(&id) else {
                return Ok(Step::Polled { task: id, name: "gone" });
            };
            if inner.dead.contains(&task.pid) {
                drop(inner);
                drop(task);
                return Ok(Step::Polled { task: id, name: "dead" });
            }
            let now = inner.now;
            if let Some((_, held)) = inner.frozen.get_mut(&task.pid).filter(|(until, _)| *until > now) {
                waker.queued.store(true, Ordering::Relaxed);
                held.push(waker);
                inner.tasks.insert(id, task);
                return Ok(Step::Polled { task: id, name: "frozen" });
            }
            task
        };
        self.poll(id, task)
    }

    fn poll(&self, id: u64, mut task: Task) -> Result<Step, Panicked> {
        let waker = Waker::from(task.waker.clone());
        let mut context = Context::from_waker(&waker);
        lock(&self.inner).polled = id;
        let polled = catch_unwind(AssertUnwindSafe(|| task.future.as_mut().poll(&mut context)));
        let name = task.name;
        match polled {
            Ok(Poll::Pending) => {
                lock(&self.inner).tasks.insert(id, task);
            }
            Ok(Poll::Ready(())) => drop(task),
            Err(panic) => {
                let message = panic
                    .downcast_ref::<String>()
                    .cloned()
                    .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
                    .unwrap_or_default();
                return Err(Panicked { task: name, message });
            }
        }
        self.bury();
        Ok(Step::Polled { task: id, name })
    }

    /// Moves time to the next moment at which something is due.
    fn advance(&self) -> Step {
        let mut woken = Vec::new();
        {
            let mut inner = lock(&self.inner);
            let timer = inner.timers.keys().next().map(|(at, _)| *at);
            let thaw = inner.frozen.values().map(|(until, _)| *until).min();
            let Some(next) = [timer, thaw].into_iter().flatten().min() else { return Step::Idle };
            inner.now = inner.now.max(next);
            let now = inner.now;
            while let Some(entry) = inner.timers.first_entry() {
                if entry.key().0 > now {
                    break;
                }
                woken.push(entry.remove());
            }
            let thawed: Vec<Pid> =
                inner.frozen.iter().filter(|(_, (until, _))| *until <= now).map(|(pid, _)| *pid).collect();
            for pid in thawed {
                if let Some((until, held)) = inner.frozen.remove(&pid) {
                    inner.thawed.insert(pid, until);
                    lock(&self.ready).extend(held.into_iter().map(|waker| (waker.id, waker)));
                }
            }
        }
        woken.into_iter().for_each(Waker::wake);
        Step::Advanced
    }

    /// Ends everything: what is left is dropped.
    pub(crate) fn clear(&self) {
        let tasks = std::mem::take(&mut lock(&self.inner).tasks);
        drop(tasks);
        lock(&self.inner).timers.clear();
        lock(&self.ready).clear();
    }

    /// Waits in virtual time.
    pub(crate) fn sleep(self: &Arc<Self>, time: Duration) -> Sleep {
        Sleep { executor: self.clone(), at: self.now() + micros(time), timer: None }
    }
}

pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX / 4)
}

/// A wait in virtual time.
pub(crate) struct Sleep {
    executor: Arc<Executor>,
    at: u64,
    timer: Option<(u64, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let executor = self.executor.clone();
        let mut inner = lock(&executor.inner);
        if inner.now >= self.at {
            return Poll::Ready(());
        }
        let key = match self.timer {
            Some(key) => key,
            None => {
                inner.last_timer += 1;
                (self.at, inner.last_timer)
            }
        };
        inner.timers.insert(key, context.waker().clone());
        self.timer = Some(key);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.timer {
            let waker = lock(&self.executor.inner).timers.remove(&key);
            drop(waker);
        }
    }
}

/// Lets others run first.
pub(crate) async fn step_back() {
    let mut stepped = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut stepped, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(executor: &Executor, dice: &mut Dice) {
        while executor.step(dice).unwrap() != Step::Idle {}
    }

    #[test]
    fn time_moves_only_when_nothing_can_run_and_order_is_the_seeds() {
        let order = |seed: u64| {
            let executor = Executor::new();
            let log: Arc<Mutex<Vec<(u64, u64)>>> = Arc::default();
            for n in 0..5 {
                let (executor_, log) = (executor.clone(), log.clone());
                executor.spawn(WORLD, "test", async move {
                    step_back().await;
                    lock(&log).push((executor_.now(), n));
                    executor_.sleep(Duration::from_millis(10 + n)).await;
                    lock(&log).push((executor_.now(), n));
                });
            }
            run(&executor, &mut Dice::new(seed));
            lock(&log).clone()
        };
        let first = order(1);
        assert!(first[..5].iter().all(|(at, _)| *at == 0));
        assert_eq!(first[9], (14_000, 4));
        assert_eq!(first, order(1));
        assert!((2..20).any(|seed| order(seed) != first));
    }

    #[test]
    fn the_dead_do_nothing_and_the_frozen_do_it_later() {
        let executor = Executor::new();
        let log: Arc<Mutex<Vec<(u64, Pid)>>> = Arc::default();
        for pid in [1, 2, 3] {
            let (executor_, log) = (executor.clone(), log.clone());
            executor.spawn(pid, "test", async move {
                executor_.sleep(Duration::from_millis(1)).await;
                lock(&log).push((executor_.now(), pid));
            });
        }
        let mut dice = Dice::new(1);
        for _ in 0..3 {
            executor.step(&mut dice).unwrap();
        }
        executor.kill(1);
        executor.freeze(2, Duration::from_secs(60));
        run(&executor, &mut dice);
        assert_eq!(*lock(&log), [(1_000, 3), (60_000_000, 2)]);
    }
}
