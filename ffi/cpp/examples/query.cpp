// SQL from C++: a session, a query, its rows batch by batch.
#include <iostream>

#include "plasmon.hpp"

int main() {
  try {
    plasmon::Session session;
    session.set("threads", "2");
    plasmon::Stream rows =
        session.query("SELECT value % 3 AS k, count(*) AS n FROM generate_series(1, 1000000) GROUP BY 1 ORDER BY 1").stream();
    while (plasmon::Array batch = rows.next()) {
      for (int64_t row = 0; row < batch->length; row++) {
        for (int64_t column = 0; column < batch->n_children; column++) {
          const ArrowArray* values = batch->children[column];
          std::cout << (column > 0 ? " " : "") << static_cast<const int64_t*>(values->buffers[1])[values->offset + row];
        }
        std::cout << "\n";
      }
    }
    session.query("SELECT * FROM nowhere");
  } catch (const plasmon::Error& error) {
    std::cout << error.what() << "\n";
  }
}
