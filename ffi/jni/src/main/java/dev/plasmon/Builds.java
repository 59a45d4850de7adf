package dev.plasmon;

/**
 * Build sides of joins that are the process's: a join of a plan that names one ({@code Join.cached_build} in {@code plan.proto}) builds it if it is the first to
 * come, waits for it if another one is at it, and probes the same table as all others.
 */
public final class Builds {
  private Builds() {}

  /** Keeps what queries build under that name, until it was released as often as it was retained. */
  public static void retain(String name) {
    Library.version();
    retain0(Text.utf8(name));
  }

  /** Gives a name up; whether it was retained. What it stands for is freed when nobody retains it and no query probes it. */
  public static boolean release(String name) {
    Library.version();
    return release0(Text.utf8(name));
  }

  /** Bytes that all of them take, which no session's memory is asked for. */
  public static long bytes() {
    Library.version();
    return bytes0();
  }

  private static native void retain0(byte[] name);

  private static native boolean release0(byte[] name);

  private static native long bytes0();
}
