package dev.plasmon;

/**
 * Tables, views and settings. Any number of threads may use one. Closing it leaves its plans and streams alive.
 *
 * <pre>{@code
 * try (Session session = new Session()) {
 *   session.registerPath("orders", "data/orders.parquet");
 *   try (Stream rows = session.query("SELECT o_orderpriority, count(*) FROM orders GROUP BY 1")) {
 *     for (long batch; (batch = rows.next()) != 0;) {
 *       // the address of an ArrowArray
 *     }
 *   }
 * }
 * }</pre>
 */
public final class Session extends NativeHandle {
  /** Opens a session with default settings. */
  public Session() {
    super(open(), "a session", Session::close0);
  }

  private static long open() {
    Library.version();
    return open0();
  }

  /** The version of the library. */
  public static String version() {
    return Library.version();
  }

  /**
   * Changes a setting, as {@code SET name = 'value'} does: {@code threads}, {@code memory_bytes}, {@code driver}, {@code s3.region} …; {@code SHOW ALL} lists
   * them. Statements that run keep theirs.
   */
  public Session set(String name, String value) {
    set0(handle(), Text.utf8(name), Text.utf8(value));
    return this;
  }

  /** Defines {@code name} as the file, folder or pattern at {@code path}, its format told by the extension. A table of that name is replaced. */
  public Session registerPath(String name, String path) {
    registerPath0(handle(), Text.utf8(name), Text.utf8(path));
    return this;
  }

  /** Reads the {@code ArrowArrayStream} to its end and defines {@code name} as its rows, over the host's buffers. The stream is taken over. */
  public Session registerStream(String name, long stream) {
    registerStream0(handle(), Text.utf8(name), stream);
    return this;
  }

  /** As {@link #registerStream}, of batches that a Java object gives. The {@code ArrowSchema} is taken over. */
  public Session registerBatches(String name, long schema, BatchSource source) {
    Source batches = Source.of(source);
    try {
      registerSource0(handle(), Text.utf8(name), schema, batches);
    } catch (PlasmonException e) {
      throw Source.explained(e, batches);
    }
    return this;
  }

  /** Forgets a table or view; one that there is not is an exception. */
  public Session deregister(String name) {
    deregister0(handle(), Text.utf8(name));
    return this;
  }

  /**
   * Makes queries that start from now on take their memory of {@code memory}; null = they ask nobody. Queries that run keep what they have, and give it back when
   * they end or their streams are closed.
   */
  public Session setMemory(HostMemory memory) {
    setMemory0(handle(), MemoryCalls.of(memory));
    return this;
  }

  /**
   * Asks the queries of the session to give back so many of the bytes that they took of the {@link HostMemory}: first what they do not use, then what stands still
   * and can go to disk. How many came back; when that is less, queries at work are asked too, and give back what that frees within a batch. From any thread, also
   * from inside of a {@link HostMemory}.
   */
  public long spill(long bytes) {
    return spill0(handle(), bytes);
  }

  /** A plan of one SQL statement. Nothing is looked at before it is asked for its schema or run. */
  public Plan prepare(String sql) {
    return Plan.ofSql(this, sql);
  }

  /** A plan in the library's own format, as {@link Plan#toPlan} gives it. It reads tables of this session by name. */
  public Plan preparePlan(byte[] plan) {
    return Plan.ofPlan(this, plan);
  }

  /** A Substrait plan, protobuf or JSON. What cannot be run is told by the calls that plan it, with the node that is to blame ({@link PlasmonException#planPath}). */
  public Plan prepareSubstrait(byte[] plan) {
    return Plan.ofSubstrait(this, plan);
  }

  /** Runs one SQL statement. Those without rows (CREATE, SET, COPY …) are done when this returns, and give no batches. */
  public Stream query(String sql) {
    try (Plan plan = prepare(sql)) {
      return plan.execute();
    }
  }

  /** The handle of a plan of this session. */
  long openPlan() {
    return openPlan0(handle());
  }

  private static native long open0();

  private static native void close0(long handle);

  private native long openPlan0(long handle);

  private native void set0(long handle, byte[] name, byte[] value);

  private native void registerPath0(long handle, byte[] name, byte[] path);

  private native void registerStream0(long handle, byte[] name, long stream);

  private native void registerSource0(long handle, byte[] name, long schema, Source source);

  private native void setMemory0(long handle, MemoryCalls memory);

  private native long spill0(long handle, long bytes);

  private native void deregister0(long handle, byte[] name);
}
