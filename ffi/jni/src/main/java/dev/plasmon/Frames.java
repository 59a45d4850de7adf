package dev.plasmon;

/**
 * Batches as bytes, for queries of the same build of the library in this process or another one. A frame is the number of its bytes, 32 bits and little-endian,
 * and those bytes; it carries no types, so that who reads it must know the columns. It is no format to keep.
 */
public final class Frames {
  private Frames() {}

  /**
   * An {@code ArrowArray}, a struct array whose children are the columns, as frames. {@code fields} is a {@code StructType} of {@code plan.proto} that tells the
   * columns. The array is taken over.
   */
  public static byte[] encode(long array, byte[] fields) {
    Library.version();
    return encode0(array, fields);
  }

  private static native byte[] encode0(long array, byte[] fields);
}
