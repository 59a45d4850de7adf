// Batches of Arrow Java's go into a query, and its rows come back as an Arrow reader.
//
//   java -cp plasmon-java.jar:arrow-c-data.jar:… --add-opens=java.base/java.nio=ALL-UNNAMED ffi/jni/examples/Query.java
import dev.plasmon.PlasmonException;
import dev.plasmon.Session;
import dev.plasmon.Stream;
import org.apache.arrow.c.ArrowArray;
import org.apache.arrow.c.ArrowArrayStream;
import org.apache.arrow.c.ArrowSchema;
import org.apache.arrow.c.Data;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.BigIntVector;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.apache.arrow.vector.ipc.ArrowReader;

public class Query {
  private static final int BATCHES = 100;
  private static final int ROWS = 10_000;

  public static void main(String[] arguments) throws Exception {
    try (BufferAllocator allocator = new RootAllocator(); Session session = new Session()) {
      register(allocator, session);
      String sql = "SELECT n % 3 AS remainder, count(*) AS numbers FROM numbers GROUP BY 1 ORDER BY 1";
      try (Stream rows = session.query(sql); ArrowArrayStream stream = ArrowArrayStream.allocateNew(allocator)) {
        rows.exportTo(stream.memoryAddress());
        try (ArrowReader reader = Data.importArrayStream(allocator, stream)) {
          while (reader.loadNextBatch()) {
            VectorSchemaRoot batch = reader.getVectorSchemaRoot();
            for (int row = 0; row < batch.getRowCount(); row++) {
              System.out.println(batch.getVector("remainder").getObject(row) + " " + batch.getVector("numbers").getObject(row));
            }
          }
        }
      }
      try {
        session.query("SELECT * FROM nowhere");
      } catch (PlasmonException e) {
        System.out.println(e.code() + ": " + e.getMessage());
      }
    }
  }

  /** Makes {@code numbers} a table of batches that are made one by one, when the library asks for them. */
  private static void register(BufferAllocator allocator, Session session) {
    try (BigIntVector n = new BigIntVector("n", allocator);
        VectorSchemaRoot batch = VectorSchemaRoot.of(n);
        ArrowSchema schema = ArrowSchema.allocateNew(allocator)) {
      Data.exportSchema(allocator, batch.getSchema(), null, schema);
      int[] made = {0};
      session.registerBatches("numbers", schema.memoryAddress(), array -> {
        if (made[0] == BATCHES) {
          return false;
        }
        batch.allocateNew();
        for (int row = 0; row < ROWS; row++) {
          n.setSafe(row, (long) made[0] * ROWS + row);
        }
        batch.setRowCount(ROWS);
        made[0]++;
        Data.exportVectorSchemaRoot(allocator, batch, null, ArrowArray.wrap(array));
        return true;
      });
    }
  }
}
