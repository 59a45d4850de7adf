package dev.plasmon;

/**
 * For programs that read and write structs of the Arrow C Data Interface by address and have no other library for what only native code can do: call a
 * {@code release}, and be one.
 */
public final class ArrowStructs {
  /** Bytes of an {@code ArrowSchema}. */
  public static final int SCHEMA_BYTES = 72;
  /** Bytes of an {@code ArrowArray}. */
  public static final int ARRAY_BYTES = 80;
  /** Bytes of an {@code ArrowArrayStream}. */
  public static final int STREAM_BYTES = 40;

  private ArrowStructs() {}

  /** Releases the {@code ArrowSchema}, unless it is released. */
  public static void releaseSchema(long schema) {
    Library.version();
    releaseSchema0(schema);
  }

  /** Releases the {@code ArrowArray}, unless it is released. */
  public static void releaseArray(long array) {
    Library.version();
    releaseArray0(array);
  }

  /** Releases the {@code ArrowArrayStream}, unless it is released. */
  public static void releaseStream(long stream) {
    Library.version();
    releaseStream0(stream);
  }

  /**
   * Sets {@code release} and {@code private_data} of the {@code ArrowSchema}, so that {@code action} runs, once, when it is released, on whichever thread does
   * that; null = nothing runs, as children need it whose parent frees everything.
   */
  public static void onReleaseSchema(long schema, Runnable action) {
    Library.version();
    onReleaseSchema0(schema, action);
  }

  /** As {@link #onReleaseSchema}, of an {@code ArrowArray}. */
  public static void onReleaseArray(long array, Runnable action) {
    Library.version();
    onReleaseArray0(array, action);
  }

  private static native void releaseSchema0(long schema);

  private static native void releaseArray0(long array);

  private static native void releaseStream0(long stream);

  private static native void onReleaseSchema0(long schema, Runnable action);

  private static native void onReleaseArray0(long array, Runnable action);
}
