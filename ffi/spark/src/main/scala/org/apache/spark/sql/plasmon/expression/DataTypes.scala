package org.apache.spark.sql.plasmon.expression

import org.apache.spark.sql.catalyst.expressions.Attribute
import org.apache.spark.sql.plasmon.proto.{Message, PlanProto, TypeProto}
import org.apache.spark.sql.plasmon.proto.PlanNumbers.SimpleType
import org.apache.spark.sql.types.{DataTypes => _, _}

/**
 * Spark's types as `plan.proto` has them: those that Arrow has with the same values.
 *
 * Decimals always go as 128 bits: the engine itself keeps those of up to 18 digits in 64. Timestamps are microseconds since the epoch, with the
 * zone UTC; the session's zone is an argument of the functions that mind it.
 */
object DataTypes {

  /** How deep types may nest, a little less than the reader takes. */
  private val DepthMax = 60

  /** The type, or why the engine does not have it. */
  def toProto(dataType: DataType): Either[Refusal, Message] = toProto(dataType, 0)

  /** The types of columns, as fields of a relation or table. */
  def fields(attributes: Seq[Attribute]): Either[Refusal, Seq[Message]] =
    Traversal.all(attributes)(a => toProto(a.dataType).map(PlanProto.field(a.name, _, a.nullable)))

  /** The type that is known to be supported: one that was converted before. */
  private[plasmon] def known(dataType: DataType): Message =
    toProto(dataType).fold(refusal => throw new IllegalStateException(refusal.toString), identity)

  private def toProto(dataType: DataType, depth: Int): Either[Refusal, Message] =
    if (depth > DepthMax) Left(refused(dataType, s"types nested more than $DepthMax deep"))
    else
      simple(dataType).map(kind => Right(TypeProto.simple(kind))).getOrElse {
        dataType match {
          case text: StringType => string(text)
          case decimal: DecimalType => this.decimal(decimal)
          case TimestampType => Right(TypeProto.timestamp(Some("UTC")))
          case TimestampNTZType => Right(TypeProto.timestamp(None))
          case _: DayTimeIntervalType => Right(TypeProto.duration)
          case array: ArrayType =>
            toProto(array.elementType, depth + 1)
              .map(element => TypeProto.list(PlanProto.field("element", element, array.containsNull)))
          case struct: StructType => structure(struct.fields.toSeq, depth)
          case map: MapType =>
            val entries = Seq(
              StructField("key", map.keyType, nullable = false),
              StructField("value", map.valueType, map.valueContainsNull))
            structure(entries, depth).map(e => TypeProto.map(PlanProto.field("entries", e, nullable = false)))
          case other => Left(refused(other, "the engine has no such type"))
        }
      }

  private def simple(dataType: DataType) = Option(dataType).collect {
    case BooleanType => SimpleType.Boolean
    case ByteType => SimpleType.Int8
    case ShortType => SimpleType.Int16
    case IntegerType => SimpleType.Int32
    case LongType => SimpleType.Int64
    case FloatType => SimpleType.Float32
    case DoubleType => SimpleType.Float64
    case DateType => SimpleType.Date32
    case BinaryType => SimpleType.Binary
    case NullType => SimpleType.Null
    case _: YearMonthIntervalType => SimpleType.IntervalYearMonth
  }

  /** Texts compare by bytes in the engine, which is UTF8_BINARY. Char and varchar are kinds of it. */
  private def string(text: StringType): Either[Refusal, Message] =
    if (isBinaryCollation(text)) Right(TypeProto.simple(SimpleType.Utf8))
    else Left(Refusal(text.getClass.getSimpleName, Refusal.Collation, s"collation ${text.sql}"))

  /** Whether texts of the type compare by bytes. */
  def isBinaryCollation(text: StringType): Boolean = text.isUTF8BinaryCollation

  private def decimal(decimal: DecimalType): Either[Refusal, Message] =
    if (decimal.scale < 0 || decimal.scale > decimal.precision) Left(refused(decimal, "a scale outside of the digits"))
    else Right(TypeProto.decimal(decimal.precision, decimal.scale))

  private def structure(fields: Seq[StructField], depth: Int): Either[Refusal, Message] =
    if (fields.isEmpty) Left(refused(StructType(fields), "a struct without fields"))
    else
      Traversal
        .all(fields)(f => toProto(f.dataType, depth + 1).map(PlanProto.field(f.name, _, f.nullable)))
        .map(TypeProto.struct)

  private def refused(dataType: DataType, detail: String) =
    Refusal(dataType.getClass.getSimpleName.stripSuffix("$"), Refusal.DataType, s"${dataType.simpleString}: $detail")
}

/** Steps over many things that end at the first refusal. */
private[plasmon] object Traversal {
  def all[A, B](items: Iterable[A])(convert: A => Either[Refusal, B]): Either[Refusal, Seq[B]] =
    items.foldLeft[Either[Refusal, Vector[B]]](Right(Vector.empty)) { (done, item) =>
      done.flatMap(all => convert(item).map(all :+ _))
    }
}
