package dev.plasmon;

import java.io.Closeable;
import java.io.IOException;

/**
 * Batches that a query reads, made in Java. It is called on the threads that run the query, the library's own included, one call at a time; closed once, when
 * nobody asks it any more. An exception ends the query and is the cause of the one that the query's reader gets. Calling back into the library is allowed,
 * but for the rows of the very query that reads this.
 */
public interface BatchSource extends Closeable {
  /**
   * Moves the next batch into the {@code ArrowArray} at {@code array}, which is released yet: a struct array whose children are the columns, with its
   * {@code release} set. False, and nothing written, at the end.
   */
  boolean next(long array) throws Exception;

  /** Frees what the source holds; batches that it gave may live on. */
  @Override
  default void close() throws IOException {}
}
