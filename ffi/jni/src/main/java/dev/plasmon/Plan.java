package dev.plasmon;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * A statement of a session and what it is to run with. It may be run again and again, but for streams and sources, which one run uses up. One call at a time,
 * of any thread. Closing it leaves its streams alive.
 *
 * <p>A statement is SQL text, a plan in the library's own format, or a Substrait plan; everything here is the same for all three.
 */
public final class Plan extends NativeHandle {
  private final String what;
  /** What the next run reads from Java. */
  private final List<Thrower> sources = new ArrayList<>();

  private Plan(Session session, String what, Consumer<Plan> fill) {
    super(session.openPlan(), "a plan", Plan::close0);
    this.what = what;
    try {
      fill.accept(this);
    } catch (PlasmonException e) {
      close();
      throw e;
    }
  }

  static Plan ofSql(Session session, String sql) {
    return new Plan(session, sql, plan -> plan.setSql0(plan.handle(), Text.utf8(sql)));
  }

  static Plan ofPlan(Session session, byte[] bytes) {
    return new Plan(session, "a plan", plan -> plan.setPlan0(plan.handle(), bytes));
  }

  static Plan ofSubstrait(Session session, byte[] bytes) {
    return new Plan(session, "a Substrait plan", plan -> plan.setSubstrait0(plan.handle(), bytes));
  }

  /** How {@link #toSubstrait} writes a plan. */
  public enum SubstraitFormat {
    /** Protobuf. */
    BINARY,
    /** The JSON of protobuf. */
    JSON
  }

  /** How {@link #explain} shows a plan. */
  public enum ExplainFormat {
    /** An indented tree. */
    TEXT,
    /** {@code {"sections": [{"title", "plan"}], "planning": […]}}. */
    JSON,
    /** One self-contained page with a picture. */
    HTML
  }

  /** Changes a setting for this plan alone; names are those of {@link Session#set}, without object stores. */
  public Plan set(String name, String value) {
    set0(handle(), Text.utf8(name), Text.utf8(value));
    return this;
  }

  /** Runs that take longer fail with {@link ErrorCode#DEADLINE}; zero or null = no deadline. */
  public Plan deadline(Duration time) {
    if (time != null && time.isNegative()) {
      throw new PlasmonException(ErrorCode.INVALID_ARGUMENT, "a deadline of " + time);
    }
    setDeadline0(handle(), time == null ? 0 : milliseconds(time));
    return this;
  }

  /** Rounded up, so that a deadline of less than one is none of zero. */
  private static long milliseconds(Duration time) {
    Duration most = Duration.ofMillis(Long.MAX_VALUE - 1);
    return time.compareTo(most) > 0 ? Long.MAX_VALUE : time.plusNanos(999_999).toMillis();
  }

  /**
   * Makes the {@code ArrowArrayStream} the table {@code name} of this plan, before any of the session's of that name: read batch by batch while the plan runs,
   * once. The stream is taken over; its callbacks run on the library's threads, one at a time.
   */
  public Plan bindStream(String name, long stream) {
    bindStream0(handle(), Text.utf8(name), stream);
    return this;
  }

  /** As {@link #bindStream}, of batches that a Java object gives. The {@code ArrowSchema} is taken over. */
  public Plan bindBatches(String name, long schema, BatchSource source) {
    Source batches = Source.of(source);
    bindSource0(handle(), Text.utf8(name), schema, batches);
    synchronized (sources) {
      sources.add(batches);
    }
    return this;
  }

  /**
   * Makes frames the table {@code name} of this plan, as {@link #bindStream} does. {@code fields} is a {@code StructType} of {@code plan.proto}: the columns that
   * the frames were written of. They are decoded on the thread that runs the plan.
   */
  public Plan bindFrames(String name, byte[] fields, FrameSource source) {
    FrameCalls frames = FrameCalls.of(source);
    bindFrames0(handle(), Text.utf8(name), fields, frames);
    synchronized (sources) {
      sources.add(frames);
    }
    return this;
  }

  /** Sets the values of {@code $1}, {@code $2} …: the columns of a struct array of one row. Both structs are taken over. */
  public Plan bindParameters(long schema, long values) {
    bindParameters0(handle(), schema, values);
    return this;
  }

  /** Writes the columns of the result, found by planning alone, to the {@code ArrowSchema} at {@code out}, which is the caller's to release. */
  public void exportSchema(long out) {
    schema0(handle(), out);
  }

  /** The plan made readable. */
  public String explain(ExplainFormat format) {
    if (format == null) {
      throw new PlasmonException(ErrorCode.INVALID_ARGUMENT, "format is null");
    }
    return Text.of(explain0(handle(), format.ordinal()));
  }

  /** The optimized plan in the library's own format, for {@link Session#preparePlan}; the statement must be a query. */
  public byte[] toPlan() {
    return toPlan0(handle());
  }

  /** The plan as Substrait, for other engines, as it is before the library's own optimizer; the statement must be a query. */
  public byte[] toSubstrait(SubstraitFormat format) {
    if (format == null) {
      throw new PlasmonException(ErrorCode.INVALID_ARGUMENT, "format is null");
    }
    return toSubstrait0(handle(), format.ordinal());
  }

  /** Plans the statement and starts it. Statements without rows are done when this returns, and give no batches. */
  public Stream execute() {
    List<Thrower> read;
    synchronized (sources) {
      read = List.copyOf(sources);
    }
    try {
      Stream stream = new Stream(execute0(handle()), what, read);
      synchronized (sources) {
        sources.removeAll(read);
      }
      return stream;
    } catch (PlasmonException e) {
      throw Source.explained(e, read.toArray(Thrower[]::new));
    }
  }

  private static native void close0(long handle);

  private native void setSql0(long handle, byte[] sql);

  private native void setPlan0(long handle, byte[] plan);

  private native void setSubstrait0(long handle, byte[] plan);

  private native byte[] toPlan0(long handle);

  private native byte[] toSubstrait0(long handle, int format);

  private native void set0(long handle, byte[] name, byte[] value);

  private native void setDeadline0(long handle, long milliseconds);

  private native void bindStream0(long handle, byte[] name, long stream);

  private native void bindSource0(long handle, byte[] name, long schema, Source source);

  private native void bindFrames0(long handle, byte[] name, byte[] fields, FrameCalls source);

  private native void bindParameters0(long handle, long schema, long values);

  private native void schema0(long handle, long out);

  private native byte[] explain0(long handle, int format);

  private native long execute0(long handle);
}
