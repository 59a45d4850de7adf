/**
 * Plasmon for Java: a {@link dev.plasmon.Session} has tables and settings, a {@link dev.plasmon.Plan} is a statement of it, a {@link dev.plasmon.Stream}
 * its rows. Batches cross without copies, as addresses of structs of the Arrow C Data Interface; Arrow Java's {@code arrow-c-data} reads and makes those,
 * but nothing here needs it.
 *
 * <p><b>Ownership.</b> A struct that is handed in is moved: its {@code release} is null afterwards, whether the call succeeded or failed, and the host's
 * own {@code release} runs once, on whichever thread drops the last buffer. A struct that is given out is the caller's to release, but for the batch of
 * {@link dev.plasmon.Stream#next}, which the stream releases. An address must lead to a struct of its kind or be 0; that is all that cannot be checked.
 *
 * <p><b>Threads.</b> Any number of threads may use a session. A plan and the rows of a stream serve one call at a time, of any thread; another call at that
 * moment fails with {@link dev.plasmon.ErrorCode#BUSY}. {@code cancel}, {@code progress}, {@code metrics} and {@code close} may be called by any thread at
 * any time.
 *
 * <p><b>Failures</b> are {@link dev.plasmon.PlasmonException}, with the code, the plan node and a hint. What is closed stays closed: using it is an
 * exception, closing it again is nothing. What is never closed is closed, and logged, when it is garbage.
 *
 * <p><b>The native library</b> comes with the jar; {@code -Dplasmon.library.path=FILE} takes another. From Java 22 on, {@code --enable-native-access=ALL-UNNAMED}
 * (or {@code Enable-Native-Access: ALL-UNNAMED} in the manifest of the application's own jar) keeps the JVM from warning about it.
 */
package dev.plasmon;
