package dev.plasmon.spark;

/** Where the fields of an {@code ArrowArray} of the Arrow C Data Interface lie, in bytes from its beginning. */
public final class ArrowLayout {
  public static final int LENGTH = 0;
  public static final int NULL_COUNT = 8;
  public static final int OFFSET = 16;
  public static final int BUFFER_COUNT = 24;
  public static final int CHILD_COUNT = 32;
  public static final int BUFFERS = 40;
  public static final int CHILDREN = 48;
  public static final int RELEASE = 64;

  private ArrowLayout() {}
}
