package dev.plasmon;

import java.util.List;

/**
 * The rows of a plan that runs, and the run itself. Rows come by {@link #next}, by {@link #step}, by {@link #push}, or as an Arrow C stream
 * ({@link #exportTo}). Closing it stops what still runs, and returns once nothing of the run is left; unless its rows were exported: then who reads those
 * ends it.
 */
public final class Stream extends NativeHandle {
  private final List<Thrower> sources;

  Stream(long handle, String what, List<Thrower> sources) {
    super(handle, "a stream of " + shortened(what), Stream::close0);
    this.sources = sources;
  }

  private static String shortened(String what) {
    return what.length() <= 100 ? what : what.substring(0, 100) + " …";
  }

  /** What one {@link #step} came to. */
  public enum Step {
    /** {@link #array} is a batch of the result; step again. */
    BATCH,
    /** Work was done; step again. */
    MOVED,
    /** Nothing can be done now; step again later. */
    BLOCKED,
    /** The result has ended. */
    DONE
  }

  /**
   * What a run has done so far.
   *
   * @param rowsRead rows read by scans
   * @param rowsTotal rows of all scanned tables; -1 = unknown
   * @param bytesReserved bytes reserved now
   * @param bytesPeak the most bytes reserved at once so far
   * @param elapsedNanos time since the run was started
   */
  public record Progress(long rowsRead, long rowsTotal, long bytesReserved, long bytesPeak, long elapsedNanos) {}

  /** Writes the columns of the result to the {@code ArrowSchema} at {@code out}, which is the caller's to release. */
  public void exportSchema(long out) {
    schema0(handle(), out);
  }

  /**
   * Waits for the next batch: the address of an {@code ArrowArray}, a struct array whose children are the columns; 0 at the end. The stream releases it at the
   * next {@code next}, {@code step} or {@code close}, unless the caller has moved it out and set {@code release} to null, as importers do. Buffers that were
   * moved out outlive the stream.
   */
  public long next() {
    try {
      return next0(handle());
    } catch (PlasmonException e) {
      throw explained(e);
    }
  }

  /** Waits for the next batch and gives it as frames, for {@link Plan#bindFrames}; null at the end. */
  public byte[] nextFrames() {
    try {
      return nextFrames0(handle());
    } catch (PlasmonException e) {
      throw explained(e);
    }
  }

  /**
   * Does a bounded piece of work on this thread: under the setting {@code driver = inline}, at most one batch moves through one chain of operators; under
   * {@code driver = pool} the library's workers work, and this looks for a batch.
   */
  public Step step() {
    try {
      return Step.values()[step0(handle()) - 1];
    } catch (PlasmonException e) {
      throw explained(e);
    }
  }

  /** The batch that the last {@link #next} or {@link #step} came to, as {@link #next} tells it; 0 when there is none. */
  public long array() {
    return array0(handle());
  }

  /**
   * Runs to the end on this thread and hands each batch to {@code consumer} on it. An exception that it throws stops the run and is the cause of the one that
   * comes out of here.
   */
  public void push(BatchConsumer consumer) {
    if (consumer == null) {
      throw new PlasmonException(ErrorCode.INVALID_ARGUMENT, "consumer is null");
    }
    for (long array; (array = next()) != 0;) {
      try {
        consumer.accept(array);
      } catch (Exception e) {
        cancel();
        throw Source.failed("the batch consumer failed: " + e, e);
      }
    }
  }

  /**
   * Gives the rest of the rows, once, to the {@code ArrowArrayStream} at {@code out}, which is the caller's to release; that ends the run. This stream and that
   * one may be closed in any order: this one stays for {@link #cancel}, {@link #progress} and {@link #metrics}. Failures come out of that one as texts.
   */
  public void exportTo(long out) {
    export0(handle(), out);
    forgive();
  }

  /** Stops the run within one batch, from any thread, also while another waits for rows; those fail with {@link ErrorCode#CANCELLED}. */
  public void cancel() {
    cancel0(handle());
  }

  /** What the run has done so far, from any thread. */
  public Progress progress() {
    long[] seen = progress0(handle());
    return new Progress(seen[0], seen[1], seen[2], seen[3], seen[4]);
  }

  /** The plan with what every operator did so far, as the JSON of {@code EXPLAIN (ANALYZE, FORMAT JSON)}, from any thread. */
  public String metrics() {
    return Text.of(metrics0(handle()));
  }

  /**
   * What every relation of a plan that was given in the library's own format did so far, from any thread. The first number is how many numbers there are of
   * each relation; then come those of the relations of {@code root} in pre-order (inputs in the order of the fields), of {@code shared}, of {@code subqueries}:
   * rows out, batches out, nanoseconds, bytes spilled, peak bytes reserved, bytes of frames read or written, rows in (of a scan: looked at), row groups read, row
   * groups in all. A filter that its scan applies gives the scan's rows. Of other statements there is only the first number.
   */
  public long[] nodeMetrics() {
    return nodeMetrics0(handle());
  }

  private PlasmonException explained(PlasmonException e) {
    return Source.explained(e, sources.toArray(Thrower[]::new));
  }

  private static native void close0(long handle);

  private native void schema0(long handle, long out);

  private native long next0(long handle);

  private native byte[] nextFrames0(long handle);

  private native int step0(long handle);

  private native long array0(long handle);

  private native void export0(long handle, long out);

  private native void cancel0(long handle);

  private native long[] progress0(long handle);

  private native byte[] metrics0(long handle);

  private native long[] nodeMetrics0(long handle);
}
