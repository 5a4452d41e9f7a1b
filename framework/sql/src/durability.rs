//! Which commits are synced, and why those that are not may be lost (rules 41, 43). No code: the argument, and its test.
//!
//! The writer commits in two ways. *Durable* (`synchronous = FULL`): on the disk when the commit returns. *Quick* (`synchronous = NORMAL`):
//! in the log file, synced with the next durable commit or checkpoint. Quick are `take`, `lease`, `release`, `end_leases`, `sweep`,
//! `draw` and `relay`; everything else is durable. Quick commits are only made while there is a write-ahead log; without one every commit
//! is durable.
//!
//! **What a power cut leaves.** A log is valid up to the first frame that is torn, missing or of an older round, and a commit counts if all
//! its frames are valid. A sync is of the whole file, and a checkpoint syncs the log before it touches the database and the database before
//! the log begins anew. So what is left is a *prefix of the commits*, of whomever, that holds at least everything up to the last
//! durable one. The killing of a process, however, loses nothing: the system has the frames.
//!
//! **Inside the database a prefix is a state it has been in**, so everything in it agrees: no link, work row, key or observation holds a
//! number that the counter has not passed; no fact names a change whose number can be given again; a change whose relay is
//! undone is in the log again.
//!
//! **Outside of the database** only what left it during the lost suffix could disagree. Numbers are drawn again then, and there are three
//! kinds of places where one could have gone:
//!
//! 1. *Another process.* A power cut ends them all: a write-ahead log is shared memory, so whoever uses the database is on this machine.
//!    Nobody is left who holds a token or has read a number.
//! 2. *The other system.* It gets requests, stamps and idempotency keys. A read carries no number of ours. A write follows the durable
//!    commit of its intent, which takes everything before it along: the take that leased the link, the relay, and the user's own commit that
//!    caused it, even if the user's program syncs nothing. A stamp is a link's UUID, a key is made of pair, link and *intent number*; that
//!    number counts from what is stored with the link, and is not drawn. So an answer or a late effect of a request that was under way
//!    meets its intent, and no later request can have its key.
//! 3. *Whoever was told something.* 2xx for a webhook, an answer of the API, exit 0, an approval: each follows a durable commit, or the
//!    reading of something that a durable commit stored; durable commits become visible only once they are synced. A nudge carries no
//!    number of the counter; where an answer shows one, nothing takes it back.
//!
//! So a token or generation that is drawn twice was, the first time, only ever seen by processes that are gone and by commits that never
//! were. What a new method must keep to: **if anything outside learns of it, it is durable.** A connection of another program with
//! `synchronous = OFF` that does a checkpoint can break any database; nothing here can mend that.
//!
//! `tests/sqlite/power.rs` cuts the power after every call of a working day, at every frame that was not synced.
