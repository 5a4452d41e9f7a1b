//! People who write to a record while an engine makes up its mind about it: what conditions of updates are for.

use super::Users;
use crate::dice::Dice;
use crate::kinds::{LAST, NAME, WAY};
use std::sync::Arc;

impl Users {
    /// Now and then edits a record that an engine has just read, until it is over. Draws from a stream of its own.
    pub(crate) async fn edit_what_is_read(self: Arc<Self>, mut dice: Dice) {
        while !self.sim.is_calm() {
            let id = self.sim.next_look().await;
            let (edits, wait) = (dice.below(10) == 0, dice.millis(1, 40));
            let field = dice.one_of([NAME, WAY, LAST]);
            if !edits {
                continue;
            }
            self.sim.executor.sleep(wait).await;
            if !self.sim.is_calm() {
                self.sim.count("edited_when_read");
                self.update_record(&id, &[(field, Some(self.fresh(field)))]);
            }
        }
    }
}
