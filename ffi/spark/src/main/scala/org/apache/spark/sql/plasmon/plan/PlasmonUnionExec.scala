package org.apache.spark.sql.plasmon.plan

import org.apache.spark.sql.execution.{SparkPlan, UnionExec}

/** A union of native inputs, whose batches pass through Spark's iterators unseen. It is one of Spark's to adaptive execution, which knows what a union may do. */
class PlasmonUnionExec(children: Seq[SparkPlan]) extends UnionExec(children) {
  override def nodeName: String = "PlasmonUnion"
  override def supportsColumnar: Boolean = true

  // Spark keeps a node whose replacement is equal to it, and a union of the same inputs would be.
  override def canEqual(other: Any): Boolean = other.isInstanceOf[PlasmonUnionExec]
  override def equals(other: Any): Boolean = canEqual(other) && super.equals(other)
  override def hashCode(): Int = super.hashCode()

  override protected def withNewChildrenInternal(newChildren: IndexedSeq[SparkPlan]): UnionExec = new PlasmonUnionExec(newChildren)
}
