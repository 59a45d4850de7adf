import io.substrait.isthmus.SqlToSubstrait;
import io.substrait.isthmus.sql.SubstraitCreateStatementParser;
import io.substrait.plan.PlanProtoConverter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;

/** Substrait plans of the queries in a folder, by isthmus. Arguments: schema.sql, folder of queries, folder for plans. */
public class Isthmus {
  public static void main(String[] arguments) throws Exception {
    var statements = new ArrayList<String>();
    for (String statement : Files.readString(Path.of(arguments[0])).split(";")) if (!statement.isBlank()) statements.add(statement);
    var catalog = SubstraitCreateStatementParser.processCreateStatementsToCatalog(statements);
    try (var queries = Files.list(Path.of(arguments[1]))) {
      for (Path query : (Iterable<Path>) queries.sorted()::iterator) {
        String name = query.getFileName().toString().replace(".sql", "");
        String text = Files.readString(query).strip().replaceAll(";$", "");
        try {
          var plan = new SqlToSubstrait().convert(text, catalog);
          byte[] bytes = new PlanProtoConverter().toProto(plan).toByteArray();
          Files.write(Path.of(arguments[2]).resolve(name + ".substrait"), bytes);
          System.out.println(name + " " + bytes.length);
        } catch (Throwable e) {
          System.out.println(name + " refused: " + String.valueOf(e.getMessage()).split("\n")[0]);
        }
      }
    }
  }
}
