package org.apache.spark.sql.plasmon.execution

import dev.plasmon.ArrowStructs
import dev.plasmon.spark.{ArrowColumn, ArrowLayout}
import org.apache.spark.sql.types.DataType
import org.apache.spark.sql.vectorized.{ColumnarBatch, ColumnVector}
import org.apache.spark.unsafe.Platform

/** A native batch at the address of its `ArrowArray`, as Spark reads it. It belongs to the task that gave it, and is valid until that gives the next one. */
final class ArrowBatch(val address: Long, types: Array[DataType])
    extends ColumnarBatch(ArrowColumn.columns(address, types).asInstanceOf[Array[ColumnVector]], ArrowColumn.rows(address)) {

  /** Moves the batch to another place, from where it is released. It is gone here. */
  def moveTo(target: Long): Unit = {
    Platform.copyMemory(null, address, null, target, ArrowStructs.ARRAY_BYTES.toLong)
    Platform.putLong(null, address + ArrowLayout.RELEASE, 0)
  }
}
