// What the tests in C expect: a condition that does not hold ends the program, with the line and the library's last error.
#ifndef EXPECT_H
#define EXPECT_H

#include <stdio.h>
#include <stdlib.h>

#include "plasmon.h"

#define EXPECT(condition)                                                         \
  do {                                                                            \
    if (!(condition)) {                                                           \
      const plasmon_error* error_ = plasmon_last_error();                         \
      fprintf(stderr, "%s:%d: %s\nlast error: %s\n", __FILE__, __LINE__, #condition, error_ ? error_->message : "none"); \
      exit(1);                                                                    \
    }                                                                             \
  } while (0)
#define EXPECT_CODE(code, call) EXPECT((call) == (code))
#define OK(call) EXPECT_CODE(PLASMON_CODE_OK, call)

#endif
