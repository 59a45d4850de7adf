//! A loser tree: which of many sources has the first head, in one comparison per level for every head that is replaced.

/// Leaves are sources 0..n; each inner node keeps the loser of its match.
#[derive(Debug)]
pub(super) struct LoserTree {
    losers: Vec<usize>,
    winner: usize,
}

impl LoserTree {
    /// Plays all matches of `leaves` ≥ 1 sources; `wins(a, b)` tells whether the head of `a` goes before that of `b`.
    pub(super) fn new(leaves: usize, wins: impl Fn(usize, usize) -> bool) -> Self {
        // Node n has children 2n and 2n + 1; leaves are nodes leaves..2 * leaves.
        let mut winners: Vec<usize> = (0..2 * leaves).map(|node| node.saturating_sub(leaves)).collect();
        let mut losers = vec![0; leaves];
        for node in (1..leaves).rev() {
            let (a, b) = (winners[2 * node], winners[2 * node + 1]);
            (winners[node], losers[node]) = if wins(a, b) { (a, b) } else { (b, a) };
        }
        LoserTree { winner: winners.get(1).copied().unwrap_or(0), losers }
    }

    /// The source whose head is first.
    pub(super) fn winner(&self) -> usize {
        self.winner
    }

    /// Plays the matches of the winner again: it has another head.
    pub(super) fn replay(&mut self, wins: impl Fn(usize, usize) -> bool) {
        let mut node = (self.losers.len() + self.winner) / 2;
        while node >= 1 {
            if wins(self.losers[node], self.winner) {
                std::mem::swap(&mut self.losers[node], &mut self.winner);
            }
            node /= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_come_out_in_order_for_any_number_of_sources() {
        for sources in 1..40_usize {
            let lists: Vec<Vec<usize>> =
                (0..sources).map(|s| (0..s % 7).map(|i| (i * 5 + s * 3) % 11 + 20 * i).collect()).collect();
            let mut at = vec![0; sources];
            let head = |at: &[usize], s: usize| lists[s].get(at[s]).copied().unwrap_or(usize::MAX);
            let mut tree = LoserTree::new(sources, |a, b| head(&at, a) < head(&at, b));
            let mut merged = Vec::new();
            while head(&at, tree.winner()) < usize::MAX {
                merged.push(head(&at, tree.winner()));
                at[tree.winner()] += 1;
                tree.replay(|a, b| head(&at, a) < head(&at, b));
            }
            let mut expected: Vec<usize> = lists.concat();
            expected.sort();
            assert_eq!(merged, expected, "{sources} sources");
        }
    }
}
