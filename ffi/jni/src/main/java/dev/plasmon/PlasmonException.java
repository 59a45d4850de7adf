package dev.plasmon;

import java.nio.charset.StandardCharsets;

/** A failure of a call, with all that is known about it. */
public final class PlasmonException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final ErrorCode code;
  private final String planPath;
  private final String hint;

  PlasmonException(ErrorCode code, String message, String planPath, String hint) {
    super(message);
    this.code = code;
    this.planPath = planPath;
    this.hint = hint;
  }

  PlasmonException(ErrorCode code, String message) {
    this(code, message, "", "");
  }

  /** Called by the native library, with UTF-8. */
  static Throwable of(int code, byte[] message, byte[] planPath, byte[] hint) {
    return new PlasmonException(ErrorCode.of(code), text(message), text(planPath), text(hint));
  }

  private static String text(byte[] utf8) {
    return new String(utf8, StandardCharsets.UTF_8);
  }

  /** Its kind. */
  public ErrorCode code() {
    return code;
  }

  /** Who can mend it. */
  public ErrorClass errorClass() {
    return code.errorClass();
  }

  /** The node of the plan that is to blame, as the way from the root; empty when there is none. */
  public String planPath() {
    return planPath;
  }

  /** What may help; empty when nothing is known to. */
  public String hint() {
    return hint;
  }

  /** All of it, as stack traces show it. */
  @Override
  public String toString() {
    String at = planPath.isEmpty() ? "" : " (at " + planPath + ")";
    String help = hint.isEmpty() ? "" : "\nhint: " + hint;
    return getClass().getName() + ": " + code + " " + code.number() + ": " + getMessage() + at + help;
  }
}
