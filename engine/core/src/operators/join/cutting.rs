//! Cuts a pair whose build rows do not fit memory into smaller pairs, by further bits of the keys' hashes.

use std::sync::Arc;

use super::JoinShared;
use super::disk::{Pair, PartitionFiles, Stored, Writer};
use super::keys::JoinKeys;
use super::layout::{Hashing, PARTITIONS};
use crate::error::Result;
use crate::metrics::OperatorMetrics;
use crate::pipeline::TaskContext;
use crate::spill::{Block, Blocks};

/// A part that has more of its whole's build rows than this, in quarters, is mostly one key: it will not get smaller.
const HOT_QUARTERS: u64 = 3;

/// Fewer parts hardly help, should the rows be unevenly spread.
const PARTS_MIN: usize = 4;
/// For parts that are larger than others: so many times as many as would do.
const PARTS_SPARE: usize = 2;

/// A pair being cut, a block at a time.
pub(super) struct Cutting {
    shared: Arc<JoinShared>,
    pair: Pair,
    /// Build rows that there were.
    rows: u64,
    hashing: Hashing,
    keys: JoinKeys,
    dealt: u64,
    /// The next block.
    block: usize,
    writer: Writer,
    build: PartitionFiles,
    probe: PartitionFiles,
    task: TaskContext,
    metrics: Arc<OperatorMetrics>,
}

impl Cutting {
    /// For a pair of whose build rows `fitting` fit memory.
    pub(super) fn new(
        shared: &Arc<JoinShared>,
        pair: Pair,
        fitting: usize,
        task: &TaskContext,
        metrics: &Arc<OperatorMetrics>,
    ) -> Result<Self> {
        let collide = task.config.hash_collisions;
        let rows = pair.build.as_ref().map_or(0, |file| file.rows());
        let parts = (PARTS_SPARE * rows as usize).div_ceil(fitting.max(1)).clamp(PARTS_MIN, PARTITIONS);
        Ok(Cutting {
            rows,
            hashing: Hashing { level: pair.level + 1, parts, collide },
            keys: JoinKeys::new(&shared.spec, collide)?,
            dealt: 0,
            block: 0,
            writer: Writer::new(&shared.layout.build_types, task, metrics),
            build: PartitionFiles::default(),
            probe: PartitionFiles::default(),
            shared: shared.clone(),
            pair,
            task: task.clone(),
            metrics: metrics.clone(),
        })
    }

    /// Cuts a block; gives the pairs once all are cut.
    pub(super) fn step(&mut self) -> Result<Option<Vec<Pair>>> {
        if self.pair.build.is_some() {
            match self.next_block(|pair| &pair.build)? {
                Some(block) => self.cut_build(block)?,
                None => self.turn()?,
            }
            return Ok(None);
        }
        match self.next_block(|pair| &pair.probe)? {
            Some(block) => self.cut_probe(block)?,
            None => return self.end().map(Some),
        }
        Ok(None)
    }

    fn next_block(&mut self, side: impl Fn(&Pair) -> &Option<Blocks>) -> Result<Option<Block>> {
        let Some(file) = side(&self.pair).as_ref().filter(|file| self.block < file.blocks()) else { return Ok(None) };
        self.block += 1;
        file.block(self.block - 1).map(Some)
    }

    fn cut_build(&mut self, block: Block) -> Result<()> {
        let batch = self.shared.layout.build_batch(block.columns, block.rows, &self.keys)?;
        for (partition, columns, rows) in self.shared.layout.cut_build(&batch, self.hashing, &mut self.dealt)? {
            self.writer.add(&self.build, partition, columns, rows)?;
        }
        Ok(())
    }

    /// From the build side to the probe side.
    fn turn(&mut self) -> Result<()> {
        self.writer.finish(&self.build)?;
        self.writer = Writer::new(&self.shared.layout.probe_types, &self.task, &self.metrics);
        (self.pair.build, self.block) = (None, 0);
        Ok(())
    }

    fn cut_probe(&mut self, block: Block) -> Result<()> {
        let batch = self.shared.layout.probe_batch(block)?;
        let keys = self.shared.probe_keys(&batch)?;
        let hashes = self.hashing.hashes(&keys, batch.rows());
        for (partition, columns, rows) in self.shared.layout.cut_probe(&batch, || Ok(keys), &hashes, self.hashing)? {
            self.writer.add(&self.probe, partition, columns, rows)?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<Vec<Pair>> {
        self.writer.finish(&self.probe)?;
        self.pair.probe = None;
        let is_hot = |build: &Blocks| build.rows() * 4 > self.rows * HOT_QUARTERS;
        let pair = |(build, probe): (Stored, Stored)| {
            let is_hot = build.blocks.as_ref().is_some_and(is_hot);
            Pair::of(build, probe, self.pair.level + 1, is_hot)
        };
        Ok(self.build.take().into_iter().zip(self.probe.take()).map(pair).collect())
    }
}
