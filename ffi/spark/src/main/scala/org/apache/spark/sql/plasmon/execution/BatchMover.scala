package org.apache.spark.sql.plasmon.execution

import dev.plasmon.BatchSource
import org.apache.spark.sql.vectorized.ColumnarBatch

/** Hands native batches, which went through Spark's iterators, back to the engine without looking at them. */
private[plasmon] final class BatchMover(batches: Iterator[ColumnarBatch]) extends BatchSource {
  override def next(array: Long): Boolean =
    batches.hasNext && {
      batches.next() match {
        case batch: ArrowBatch => batch.moveTo(array)
        case other => throw new IllegalStateException(s"a native block read a batch of Spark's own, ${other.getClass.getName}")
      }
      true
    }
}
