package dev.plasmon;

import java.io.Closeable;
import java.io.IOException;

/**
 * Frames that a query reads: batches as bytes, which another query of the same build of the library gave ({@link Stream#nextFrames}, a shuffle's file) or
 * {@link Frames#encode} made. It is called on the threads that run the query, one call at a time; closed once, when nobody asks it any more. An exception ends
 * the query and is the cause of the one that the query's reader gets.
 */
public interface FrameSource extends Closeable {
  /** One or several whole frames, which are copied; null at the end. */
  byte[] next() throws Exception;

  /** Frees what the source holds. */
  @Override
  default void close() throws IOException {}
}
