package org.apache.spark.sql.plasmon.execution

import java.util.concurrent.atomic.AtomicLong

import dev.plasmon.{HostMemory, Session}
import org.apache.spark.TaskContext
import org.apache.spark.memory.{MemoryConsumer, MemoryMode}

/**
 * The task's share of Spark's off-heap memory as the engine's budget, both ways: what the engine reserves is acquired from Spark, which may spill other
 * consumers for it; and when others need memory, Spark asks here and the engine spills.
 *
 * Spark calls `spill` on the thread that asks, with the task's memory manager locked, so nothing here holds a lock of its own. While the engine itself is
 * asking, it has given back already what it could.
 */
private[plasmon] final class TaskMemory(context: TaskContext, session: Session) extends HostMemory {
  private val manager = context.taskMemoryManager()
  private val consumer = new Consumer
  private val reserved = new AtomicLong
  @volatile private var isAsking = false
  @volatile private var isClosed = false

  private final class Consumer extends MemoryConsumer(manager, manager.pageSizeBytes(), MemoryMode.OFF_HEAP) {
    override def getUsed: Long = reserved.get
    override def spill(size: Long, trigger: MemoryConsumer): Long =
      if ((trigger eq this) || isAsking || isClosed) 0 else session.spill(size)
  }

  override def reserve(bytes: Long): Boolean = {
    isAsking = true
    try {
      val granted = manager.acquireExecutionMemory(bytes, consumer)
      val suffices = granted >= bytes
      if (suffices) reserved.addAndGet(granted) else if (granted > 0) manager.releaseExecutionMemory(granted, consumer)
      suffices
    } finally isAsking = false
  }

  override def release(bytes: Long): Unit = {
    reserved.addAndGet(-bytes)
    manager.releaseExecutionMemory(bytes, consumer)
  }

  /** `reserve` has made other consumers of the task spill already. */
  override def spill(bytes: Long): Long = 0

  /** Gives back what is left, after the session has. */
  def close(): Unit = {
    isClosed = true
    val left = reserved.getAndSet(0)
    if (left > 0) manager.releaseExecutionMemory(left, consumer)
  }
}
