package org.apache.spark.sql.plasmon.proto

/** The numbers of `engine/plan/proto/plan.proto`, message by message in its order. `PlanNumbersTest` holds them against that file. */
object PlanNumbers {

  object Plan extends MessageNumbers("Plan") {
    val version = uint32("version", 1)
    val tables = nested("tables", 2, "Table")
    val shared = nested("shared", 3, "Relation")
    val subqueries = nested("subqueries", 4, "Relation")
    val root = nested("root", 5, "Relation")
  }

  object Table extends MessageNumbers("Table") {
    val named = nested("named", 1, "NamedTable")
    val files = nested("files", 2, "FileTable")
    val fields_ = nested("fields", 4, "Field")
    val splits = nested("splits", 5, "FileSplits")
  }

  object NamedTable extends MessageNumbers("NamedTable") {
    val parts = string("parts", 1)
  }

  object FileTable extends MessageNumbers("FileTable") {
    val path = string("path", 1)
    val format = string("format", 2)
  }

  object FileSplits extends MessageNumbers("FileSplits") {
    val splits = nested("splits", 1, "FileSplit")
    val partitionColumns = uint32("partition_columns", 2)
    val caseSensitive = bool("case_sensitive", 3)
    val format = string("format", 4)
  }

  object FileSplit extends MessageNumbers("FileSplit") {
    val path = string("path", 1)
    val start = uint64("start", 2)
    val length = uint64("length", 3)
    val partitionValues = nested("partition_values", 4, "Value")
  }

  object Relation extends MessageNumbers("Relation") {
    val fields_ = nested("fields", 1, "Field")
    val scan = nested("scan", 2, "Scan")
    val values = nested("values", 3, "Values")
    val empty = nested("empty", 4, "Empty")
    val filter = nested("filter", 5, "Filter")
    val project = nested("project", 6, "Project")
    val join = nested("join", 7, "Join")
    val aggregate = nested("aggregate", 8, "Aggregate")
    val sort = nested("sort", 9, "Sort")
    val limit = nested("limit", 10, "Limit")
    val union = nested("union", 11, "Union")
    val window = nested("window", 12, "Window")
    val unnest = nested("unnest", 14, "Unnest")
    val sharedScan = nested("shared_scan", 17, "SharedScan")
    val expand = nested("expand", 19, "Expand")
    val shuffleWrite = nested("shuffle_write", 18, "ShuffleWrite")
  }

  object Scan extends MessageNumbers("Scan") {
    val table = uint32("table", 1)
    val projection = uint32("projection", 2)
    val filters = nested("filters", 3, "Expression")
    val fetch = uint64("fetch", 4)
  }

  object Values extends MessageNumbers("Values") {
    val rows = nested("rows", 1, "Row")
  }

  object Row extends MessageNumbers("Row") {
    val values = nested("values", 1, "Expression")
  }

  object Empty extends MessageNumbers("Empty") {
    val oneRow = bool("one_row", 1)
  }

  object Filter extends MessageNumbers("Filter") {
    val input = nested("input", 1, "Relation")
    val predicate = nested("predicate", 2, "Expression")
  }

  object Project extends MessageNumbers("Project") {
    val input = nested("input", 1, "Relation")
    val expressions = nested("expressions", 2, "Expression")
  }

  object Expand extends MessageNumbers("Expand") {
    val input = nested("input", 1, "Relation")
    val projections = nested("projections", 2, "Row")
  }

  object Join extends MessageNumbers("Join") {
    val left = nested("left", 1, "Relation")
    val right = nested("right", 2, "Relation")
    val kind = varint("kind", 3, "JoinKind")
    val keys = nested("keys", 4, "JoinKey")
    val residual = nested("residual", 5, "Expression")
    val nullAware = bool("null_aware", 6)
    val projection = nested("projection", 7, "Ordinals")
    val cachedBuild = string("cached_build", 8)
  }

  object JoinKind extends EnumNumbers("JoinKind", "JOIN_KIND") {
    val Inner = value("INNER", 1)
    val Left = value("LEFT", 2)
    val Right = value("RIGHT", 3)
    val Full = value("FULL", 4)
    val LeftSemi = value("LEFT_SEMI", 5)
    val LeftAnti = value("LEFT_ANTI", 6)
    val LeftMark = value("LEFT_MARK", 7)
    val RightSemi = value("RIGHT_SEMI", 8)
    val RightAnti = value("RIGHT_ANTI", 9)
    val RightMark = value("RIGHT_MARK", 10)
  }

  object JoinKey extends MessageNumbers("JoinKey") {
    val left = nested("left", 1, "Expression")
    val right = nested("right", 2, "Expression")
    val nullEqual = bool("null_equal", 3)
  }

  object Ordinals extends MessageNumbers("Ordinals") {
    val ordinals = uint32("ordinals", 1)
  }

  object Aggregate extends MessageNumbers("Aggregate") {
    val input = nested("input", 1, "Relation")
    val groupBy = nested("group_by", 2, "Expression")
    val groupingSets = nested("grouping_sets", 3, "GroupingSet")
    val aggregates = nested("aggregates", 4, "AggregateCall")
    val phase = varint("phase", 5, "AggregatePhase")
  }

  object GroupingSet extends MessageNumbers("GroupingSet") {
    val keeps = bool("keeps", 1)
  }

  object AggregatePhase extends EnumNumbers("AggregatePhase", "AGGREGATE_PHASE") {
    val Single = value("SINGLE", 1)
    val Partial = value("PARTIAL", 2)
    val PartialMerge = value("PARTIAL_MERGE", 3)
    val Final = value("FINAL", 4)
    val Repeating = value("REPEATING", 5)
  }

  object AggregateCall extends MessageNumbers("AggregateCall") {
    val function = nested("function", 1, "AggregateFunction")
    val arguments = nested("arguments", 2, "Expression")
    val filter = nested("filter", 3, "Expression")
    val distinct = bool("distinct", 4)
    val orderBy = nested("order_by", 5, "SortKey")
    val dataType = nested("type", 6, "Type")
  }

  object AggregateFunction extends MessageNumbers("AggregateFunction") {
    val native = varint("native", 1, "NativeAggregate")
    val named = string("named", 2)
    val ignoreNulls = bool("ignore_nulls", 3)
  }

  object NativeAggregate extends EnumNumbers("NativeAggregate", "NATIVE_AGGREGATE") {
    val CountAll = value("COUNT_ALL", 1)
    val Count = value("COUNT", 2)
    val Sum = value("SUM", 3)
    val Min = value("MIN", 4)
    val Max = value("MAX", 5)
    val Avg = value("AVG", 6)
    val VariancePopulation = value("VARIANCE_POPULATION", 7)
    val VarianceSample = value("VARIANCE_SAMPLE", 8)
    val DeviationPopulation = value("DEVIATION_POPULATION", 9)
    val DeviationSample = value("DEVIATION_SAMPLE", 10)
    val First = value("FIRST", 11)
    val Last = value("LAST", 12)
    val BoolAnd = value("BOOL_AND", 13)
    val BoolOr = value("BOOL_OR", 14)
    val BitAnd = value("BIT_AND", 15)
    val BitOr = value("BIT_OR", 16)
    val BitXor = value("BIT_XOR", 17)
  }

  object SortKey extends MessageNumbers("SortKey") {
    val expression = nested("expression", 1, "Expression")
    val descending = bool("descending", 2)
    val nullsFirst = bool("nulls_first", 3)
  }

  object Sort extends MessageNumbers("Sort") {
    val input = nested("input", 1, "Relation")
    val keys = nested("keys", 2, "SortKey")
    val offset = uint64("offset", 3)
    val fetch = uint64("fetch", 4)
  }

  object Limit extends MessageNumbers("Limit") {
    val input = nested("input", 1, "Relation")
    val offset = uint64("offset", 2)
    val fetch = uint64("fetch", 3)
  }

  object Union extends MessageNumbers("Union") {
    val inputs = nested("inputs", 1, "Relation")
  }

  object Window extends MessageNumbers("Window") {
    val input = nested("input", 1, "Relation")
    val partitionBy = nested("partition_by", 2, "Expression")
    val orderBy = nested("order_by", 3, "SortKey")
    val functions = nested("functions", 4, "WindowCall")
  }

  object WindowCall extends MessageNumbers("WindowCall") {
    val native = varint("native", 1, "NativeWindow")
    val aggregate = nested("aggregate", 2, "AggregateFunction")
    val arguments = nested("arguments", 3, "Expression")
    val frame = nested("frame", 4, "Frame")
    val filter = nested("filter", 5, "Expression")
    val distinct = bool("distinct", 6)
    val ignoreNulls = bool("ignore_nulls", 7)
    val dataType = nested("type", 8, "Type")
  }

  object NativeWindow extends EnumNumbers("NativeWindow", "NATIVE_WINDOW") {
    val RowNumber = value("ROW_NUMBER", 1)
    val Rank = value("RANK", 2)
    val DenseRank = value("DENSE_RANK", 3)
    val PercentRank = value("PERCENT_RANK", 4)
    val CumulativeDistribution = value("CUMULATIVE_DISTRIBUTION", 5)
    val Ntile = value("NTILE", 6)
    val Lag = value("LAG", 7)
    val Lead = value("LEAD", 8)
    val FirstValue = value("FIRST_VALUE", 9)
    val LastValue = value("LAST_VALUE", 10)
    val NthValue = value("NTH_VALUE", 11)
  }

  object Frame extends MessageNumbers("Frame") {
    val units = varint("units", 1, "FrameUnits")
    val start = nested("start", 2, "FrameBound")
    val end = nested("end", 3, "FrameBound")
  }

  object FrameUnits extends EnumNumbers("FrameUnits", "FRAME_UNITS") {
    val Rows = value("ROWS", 1)
    val Range = value("RANGE", 2)
    val Groups = value("GROUPS", 3)
  }

  object FrameBound extends MessageNumbers("FrameBound") {
    val unboundedPreceding = bool("unbounded_preceding", 1)
    val preceding = nested("preceding", 2, "Value")
    val currentRow = bool("current_row", 3)
    val following = nested("following", 4, "Value")
    val unboundedFollowing = bool("unbounded_following", 5)
  }

  object Unnest extends MessageNumbers("Unnest") {
    val input = nested("input", 1, "Relation")
    val outputs = nested("outputs", 2, "UnnestOutput")
    val preserveNulls = bool("preserve_nulls", 3)
  }

  object UnnestOutput extends MessageNumbers("UnnestOutput") {
    val column = uint32("column", 1)
    val keep = bool("keep", 2)
    val listDepth = uint32("list_depth", 3)
    val structField = uint32("struct_field", 4)
    val position = bool("position", 5)
  }

  object ShuffleWrite extends MessageNumbers("ShuffleWrite") {
    val input = nested("input", 1, "Relation")
    val hash = nested("hash", 2, "ShuffleHash")
    val range = nested("range", 3, "ShuffleRange")
    val single = bool("single", 4)
    val roundRobinStart = uint64("round_robin_start", 5)
    val partitions = uint32("partitions", 6)
    val path = string("path", 7)
  }

  object ShuffleHash extends MessageNumbers("ShuffleHash") {
    val keys = nested("keys", 1, "Expression")
  }

  object ShuffleRange extends MessageNumbers("ShuffleRange") {
    val keys = nested("keys", 1, "SortKey")
    val bounds = nested("bounds", 2, "Row")
  }

  object SharedScan extends MessageNumbers("SharedScan") {
    val index = uint32("index", 1)
  }

  object Expression extends MessageNumbers("Expression") {
    val dataType = nested("type", 1, "Type")
    val column = uint32("column", 2)
    val literal = nested("literal", 3, "Value")
    val unread = bool("unread", 5)
    val compare = nested("compare", 6, "Compare")
    val and = nested("and", 7, "Operands")
    val or = nested("or", 8, "Operands")
    val not = nested("not", 9, "Expression")
    val isNull = nested("is_null", 10, "Expression")
    val isNotNull = nested("is_not_null", 11, "Expression")
    val isBoolean = nested("is_boolean", 12, "IsBoolean")
    val arithmetic = nested("arithmetic", 13, "Arithmetic")
    val negate = nested("negate", 14, "Negate")
    val cast = nested("cast", 15, "Cast")
    val case_ = nested("case", 16, "Case")
    val inList = nested("in_list", 17, "InList")
    val like = nested("like", 18, "Like")
    val call = nested("call", 19, "Call")
  }

  object Operands extends MessageNumbers("Operands") {
    val operands = nested("operands", 1, "Expression")
  }

  object Compare extends MessageNumbers("Compare") {
    val op = varint("op", 1, "CompareOp")
    val left = nested("left", 2, "Expression")
    val right = nested("right", 3, "Expression")
  }

  object CompareOp extends EnumNumbers("CompareOp", "COMPARE_OP") {
    val Equal = value("EQUAL", 1)
    val NotEqual = value("NOT_EQUAL", 2)
    val Less = value("LESS", 3)
    val LessEqual = value("LESS_EQUAL", 4)
    val Greater = value("GREATER", 5)
    val GreaterEqual = value("GREATER_EQUAL", 6)
    val DistinctFrom = value("DISTINCT_FROM", 7)
    val NotDistinctFrom = value("NOT_DISTINCT_FROM", 8)
  }

  object IsBoolean extends MessageNumbers("IsBoolean") {
    val operand = nested("operand", 1, "Expression")
    val value = bool("value", 2)
    val negated = bool("negated", 3)
  }

  object Arithmetic extends MessageNumbers("Arithmetic") {
    val op = varint("op", 1, "ArithmeticOp")
    val overflow = varint("overflow", 2, "Overflow")
    val left = nested("left", 3, "Expression")
    val right = nested("right", 4, "Expression")
  }

  object ArithmeticOp extends EnumNumbers("ArithmeticOp", "ARITHMETIC_OP") {
    val Add = value("ADD", 1)
    val Subtract = value("SUBTRACT", 2)
    val Multiply = value("MULTIPLY", 3)
    val Divide = value("DIVIDE", 4)
    val Modulo = value("MODULO", 5)
    val BitAnd = value("BIT_AND", 6)
    val BitOr = value("BIT_OR", 7)
    val BitXor = value("BIT_XOR", 8)
    val ShiftLeft = value("SHIFT_LEFT", 9)
    val ShiftRight = value("SHIFT_RIGHT", 10)
  }

  object Overflow extends EnumNumbers("Overflow", "OVERFLOW") {
    val Wrap = value("WRAP", 1)
    val Fail = value("FAIL", 2)
    val Null = value("NULL", 3)
  }

  object Negate extends MessageNumbers("Negate") {
    val operand = nested("operand", 1, "Expression")
    val overflow = varint("overflow", 2, "Overflow")
  }

  object Cast extends MessageNumbers("Cast") {
    val operand = nested("operand", 1, "Expression")
    val mode = varint("mode", 2, "CastMode")
  }

  object CastMode extends EnumNumbers("CastMode", "CAST_MODE") {
    val Fail = value("FAIL", 1)
    val Null = value("NULL", 2)
  }

  object Case extends MessageNumbers("Case") {
    val branches = nested("branches", 1, "Branch")
    val otherwise = nested("otherwise", 2, "Expression")
  }

  object Branch extends MessageNumbers("Branch") {
    val when = nested("when", 1, "Expression")
    val thenValue = nested("then", 2, "Expression")
  }

  object InList extends MessageNumbers("InList") {
    val operand = nested("operand", 1, "Expression")
    val list = nested("list", 2, "Expression")
    val negated = bool("negated", 3)
  }

  object Like extends MessageNumbers("Like") {
    val operand = nested("operand", 1, "Expression")
    val pattern = nested("pattern", 2, "Expression")
    val escape = string("escape", 3)
    val caseInsensitive = bool("case_insensitive", 4)
    val negated = bool("negated", 5)
  }

  object Call extends MessageNumbers("Call") {
    val name = string("name", 1)
    val arguments = nested("arguments", 2, "Expression")
  }

  object Value extends MessageNumbers("Value") {
    val nullValue = bool("null", 1)
    val boolean = bool("boolean", 2)
    val int64 = sint64("int64", 3)
    val wide = bytes("wide", 5)
    val float32 = float("float32", 6)
    val float64 = double("float64", 7)
    val interval = nested("interval", 8, "IntervalValue")
    val binary = bytes("bytes", 9)
    val list = nested("list", 10, "ListValue")
    val struct = nested("struct", 11, "StructValue")
  }

  object IntervalValue extends MessageNumbers("IntervalValue") {
    val months = sint32("months", 1)
    val days = sint32("days", 2)
    val nanoseconds = sint64("nanoseconds", 3)
  }

  object ListValue extends MessageNumbers("ListValue") {
    val elements = nested("elements", 1, "Value")
  }

  object StructValue extends MessageNumbers("StructValue") {
    val fields_ = nested("fields", 1, "Value")
  }

  object Type extends MessageNumbers("Type") {
    val simple = varint("simple", 1, "SimpleType")
    val decimal = nested("decimal", 2, "DecimalType")
    val timestamp = nested("timestamp", 4, "TimestampType")
    val duration = varint("duration", 5, "TimeUnit")
    val list = nested("list", 7, "Field")
    val struct = nested("struct", 10, "StructType")
    val map = nested("map", 11, "MapType")
  }

  object SimpleType extends EnumNumbers("SimpleType", "SIMPLE_TYPE") {
    val Null = value("NULL", 1)
    val Boolean = value("BOOLEAN", 2)
    val Int8 = value("INT8", 3)
    val Int16 = value("INT16", 4)
    val Int32 = value("INT32", 5)
    val Int64 = value("INT64", 6)
    val Float32 = value("FLOAT32", 11)
    val Float64 = value("FLOAT64", 12)
    val Date32 = value("DATE32", 13)
    val IntervalYearMonth = value("INTERVAL_YEAR_MONTH", 15)
    val Utf8 = value("UTF8", 18)
    val Binary = value("BINARY", 21)
  }

  object DecimalType extends MessageNumbers("DecimalType") {
    val bits = uint32("bits", 1)
    val precision = uint32("precision", 2)
    val scale = sint32("scale", 3)
  }

  object TimeUnit extends EnumNumbers("TimeUnit", "TIME_UNIT") {
    val Microsecond = value("MICROSECOND", 3)
  }

  object TimestampType extends MessageNumbers("TimestampType") {
    val unit = varint("unit", 1, "TimeUnit")
    val zone = string("zone", 2)
  }

  object StructType extends MessageNumbers("StructType") {
    val fields_ = nested("fields", 1, "Field")
  }

  object MapType extends MessageNumbers("MapType") {
    val entries = nested("entries", 1, "Field")
    val keysSorted = bool("keys_sorted", 2)
  }

  object Field extends MessageNumbers("Field") {
    val name = string("name", 1)
    val dataType = nested("type", 2, "Type")
    val nullable = bool("nullable", 3)
  }

  /** Every message above. */
  val messages: Seq[MessageNumbers] = Seq(
    Plan, Table, NamedTable, FileTable, FileSplits, FileSplit, Relation, Scan, Values, Row, Empty, Filter, Project, Join, JoinKey, Ordinals, Aggregate, GroupingSet,
    AggregateCall, AggregateFunction, SortKey, Sort, Limit, Union, Window, WindowCall, Frame, FrameBound, Unnest, UnnestOutput, SharedScan,
    Expression, Operands, Compare, IsBoolean, Arithmetic, Negate, Cast, Case, Branch, InList, Like, Call, Value, IntervalValue, ListValue,
    StructValue, Type, DecimalType, TimestampType, StructType, MapType, Field)

  /** Every enum above. */
  val enumerations: Seq[EnumNumbers] = Seq(
    JoinKind, AggregatePhase, NativeAggregate, NativeWindow, FrameUnits, CompareOp, ArithmeticOp, Overflow, CastMode, SimpleType, TimeUnit)
}
