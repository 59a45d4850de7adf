package org.apache.spark.sql.plasmon.expression

import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.util.{ArrayData, MapData}
import org.apache.spark.sql.plasmon.proto.{ExpressionProto, Message}
import org.apache.spark.sql.types.{DataTypes => _, _}
import org.apache.spark.unsafe.types.UTF8String

/** Values as Catalyst holds them (`Literal.value`, a field of an `InternalRow`) → `Value` and literals of `plan.proto`. */
object Literals {

  /** A literal of the type, or why the engine does not have it. */
  def literal(value: Any, dataType: DataType): Either[Refusal, Message] =
    for {
      kind <- DataTypes.toProto(dataType)
      encoded <- this.value(value, dataType)
    } yield ExpressionProto.literal(encoded, kind)

  /** The value without its type, as partition values and the insides of literals are sent. */
  def value(value: Any, dataType: DataType): Either[Refusal, Message] = (value, dataType) match {
    case (null, _) => Right(ExpressionProto.nullValue)
    case (v: Boolean, BooleanType) => Right(ExpressionProto.boolean(v))
    case (v: Byte, ByteType) => Right(ExpressionProto.int64(v.toLong))
    case (v: Short, ShortType) => Right(ExpressionProto.int64(v.toLong))
    case (v: Int, IntegerType | DateType | _: YearMonthIntervalType) => Right(ExpressionProto.int64(v.toLong))
    case (v: Long, LongType | TimestampType | TimestampNTZType | _: DayTimeIntervalType) => Right(ExpressionProto.int64(v))
    case (v: Float, FloatType) => Right(ExpressionProto.float32(v))
    case (v: Double, DoubleType) => Right(ExpressionProto.float64(v))
    case (v: Decimal, to: DecimalType) => decimal(v, to)
    case (v: UTF8String, _: StringType) => text(v)
    case (v: Array[Byte], BinaryType) => Right(ExpressionProto.bytes(v))
    case (v: ArrayData, array: ArrayType) => elements(v, array.elementType).map(ExpressionProto.list)
    case (v: InternalRow, row: StructType) => struct(v, row.fields)
    case (v: MapData, entries: MapType) => map(v, entries.keyType, entries.valueType)
    case (_, other) =>
      Left(Refusal("Literal", Refusal.OperandType, s"a constant of type ${other.simpleString} held as ${value.getClass.getName}"))
  }

  /** A decimal may be held with another scale than its type says. */
  private def decimal(value: Decimal, to: DecimalType): Either[Refusal, Message] = {
    val exact = value.toJavaBigDecimal
    if (exact.stripTrailingZeros.scale > to.scale || exact.precision - exact.scale > to.precision - to.scale) {
      Left(Refusal("Literal", Refusal.OperandType, s"the constant $exact is no ${to.simpleString}"))
    } else Right(ExpressionProto.decimal(exact.setScale(to.scale).unscaledValue))
  }

  /** Strings of Spark may hold any bytes, those of the engine are UTF-8. */
  private def text(value: UTF8String): Either[Refusal, Message] =
    if (value.isValid) Right(ExpressionProto.bytes(value.getBytes))
    else Left(Refusal("Literal", Refusal.Argument, "a string constant that is no UTF-8"))

  private def elements(array: ArrayData, elementType: DataType): Either[Refusal, Seq[Message]] =
    Traversal.all(0 until array.numElements()) { i =>
      value(if (array.isNullAt(i)) null else array.get(i, elementType), elementType)
    }

  private def struct(row: InternalRow, fields: Array[StructField]): Either[Refusal, Message] =
    Traversal
      .all(fields.indices)(i => value(if (row.isNullAt(i)) null else row.get(i, fields(i).dataType), fields(i).dataType))
      .map(ExpressionProto.struct)

  private def map(map: MapData, keyType: DataType, valueType: DataType): Either[Refusal, Message] =
    for {
      keys <- elements(map.keyArray(), keyType)
      values <- elements(map.valueArray(), valueType)
    } yield ExpressionProto.list(keys.zip(values).map { case (key, value) => ExpressionProto.struct(Seq(key, value)) })
}
