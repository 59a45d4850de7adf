package org.apache.spark.sql.plasmon.expression

import org.apache.spark.sql.catalyst.expressions.{Left => _, Right => _, _}
import org.apache.spark.sql.internal.SQLConf
import org.apache.spark.sql.plasmon.proto.{EnumValue, ExpressionProto, Message}
import org.apache.spark.sql.plasmon.proto.PlanNumbers.{ArithmeticOp, CompareOp, Overflow}
import org.apache.spark.sql.types.{DataTypes => _, _}

/** Comparisons, logic, membership, nulls and choices. */
private[expression] object Predicates {

  val forms: Seq[Form] = Seq(
    compare("EqualTo", CompareOp.Equal),
    compare("EqualNullSafe", CompareOp.NotDistinctFrom),
    compare("LessThan", CompareOp.Less),
    compare("LessThanOrEqual", CompareOp.LessEqual),
    compare("GreaterThan", CompareOp.Greater),
    compare("GreaterThanOrEqual", CompareOp.GreaterEqual),
    Form("And", "And")((e, c) => c.all(flattened(e)(_.isInstanceOf[And])).map(ExpressionProto.and)),
    Form("Or", "Or")((e, c) => c.all(flattened(e)(_.isInstanceOf[Or])).map(ExpressionProto.or)),
    Form("Not", "Not")((e, c) => c(e.children.head).map(ExpressionProto.not)),
    Form("IsNull", "IsNull")((e, c) => c(e.children.head).map(ExpressionProto.isNull)),
    Form("IsNotNull", "IsNotNull")((e, c) => c(e.children.head).map(ExpressionProto.isNotNull)),
    Form("In", "InList")((e, c) => in(e.asInstanceOf[In], c)),
    Form("InSet", "InList") { (e, c) =>
      val set = e.asInstanceOf[InSet]
      inValues(set.child, set.hset.toSeq, c)
    },
    Form("If", "Case") { (e, c) =>
      val choice = e.asInstanceOf[If]
      choose(Seq(choice.predicate -> choice.trueValue), Some(choice.falseValue), e.dataType, c)
    },
    Form("CaseWhen", "Case") { (e, c) =>
      val choice = e.asInstanceOf[CaseWhen]
      choose(choice.branches, choice.elseValue, e.dataType, c)
    },
    Form("Coalesce", "Case")((e, c) => coalesce(e, c)),
    Form("AtLeastNNonNulls", "Case, Compare")((e, c) => atLeast(e.asInstanceOf[AtLeastNNonNulls], c)))

  /** Types whose values the engine compares as Spark does: NaN equals NaN and is the greatest, -0.0 equals 0.0, texts and binaries by unsigned bytes. */
  def isComparable(dataType: DataType): Boolean = dataType match {
    case _: NumericType | BooleanType | DateType | TimestampType | TimestampNTZType | BinaryType => true
    case text: StringType => DataTypes.isBinaryCollation(text)
    case _: DayTimeIntervalType | _: YearMonthIntervalType => true
    case _ => false
  }

  /** `child IN (values)`, values as Catalyst holds them. */
  def inValues(child: Expression, values: Seq[Any], converter: Converter): Either[Refusal, Message] =
    if (!isComparable(child.dataType) || isFloating(child.dataType)) refuse(child, "membership in a set")
    else if (values.isEmpty) converter(child).map(inNothing)
    else
      for {
        operand <- converter(child)
        list <- Traversal.all(values)(Literals.literal(_, child.dataType))
      } yield ExpressionProto.inList(operand, list)

  /** `operand IN ()`: false, but for a null where Spark keeps to its older ways. */
  private def inNothing(operand: Message): Message = {
    val boolean = DataTypes.known(BooleanType)
    val no = ExpressionProto.literal(ExpressionProto.boolean(false), boolean)
    if (SQLConf.get.legacyNullInEmptyBehavior) {
      ExpressionProto.caseWhen(Seq(ExpressionProto.isNotNull(operand) -> no), None, boolean)
    } else no
  }

  private def isFloating(dataType: DataType) = dataType == FloatType || dataType == DoubleType

  private def compare(expression: String, op: EnumValue): Form =
    Form(expression, "Compare") { (e, converter) =>
      if (!isComparable(e.children.head.dataType)) refuse(e.children.head, "a comparison")
      else
        converter.all(e.children).map(sides => ExpressionProto.compare(op, sides.head, sides(1)))
    }

  private def in(in: In, converter: Converter): Either[Refusal, Message] =
    if (!isComparable(in.value.dataType)) refuse(in.value, "membership in a list")
    else if (in.list.isEmpty) converter(in.value).map(inNothing)
    else
      for {
        operand <- converter(in.value)
        list <- converter.all(in.list)
      } yield ExpressionProto.inList(operand, list)

  private def choose(
      branches: Seq[(Expression, Expression)],
      otherwise: Option[Expression],
      dataType: DataType,
      converter: Converter): Either[Refusal, Message] =
    for {
      kind <- DataTypes.toProto(dataType)
      whens <- converter.all(branches.map(_._1))
      thens <- converter.all(branches.map(_._2))
      last <- converter.all(otherwise.toSeq)
    } yield ExpressionProto.caseWhen(whens.zip(thens), last.headOption, kind)

  private def coalesce(e: Expression, converter: Converter): Either[Refusal, Message] =
    for {
      kind <- DataTypes.toProto(e.dataType)
      values <- converter.all(e.children)
    } yield
      if (values.size == 1) values.head
      else {
        val branches = values.init.map(value => ExpressionProto.isNotNull(value) -> value)
        ExpressionProto.caseWhen(branches, Some(values.last), kind)
      }

  /** Counts the values that are there; a NaN is none. */
  private def atLeast(e: AtLeastNNonNulls, converter: Converter): Either[Refusal, Message] = {
    val int = DataTypes.known(IntegerType)
    def number(value: Int) = ExpressionProto.literal(ExpressionProto.int64(value.toLong), int)
    if (e.children.isEmpty || e.children.exists(child => isFloating(child.dataType))) refuse(e, "floating-point values")
    else
      converter.all(e.children).map { values =>
        val counted = values.map(v => ExpressionProto.caseWhen(Seq(ExpressionProto.isNull(v) -> number(0)), Some(number(1)), int))
        val sum = counted.reduce(ExpressionProto.arithmetic(ArithmeticOp.Add, Overflow.Wrap, _, _, int))
        ExpressionProto.compare(CompareOp.GreaterEqual, sum, number(e.n))
      }
  }

  /** The operands of nested operators of one class, left to right. */
  private def flattened(e: Expression)(same: Expression => Boolean): Seq[Expression] = {
    val operands = Seq.newBuilder[Expression]
    var rest = List(e)
    while (rest.nonEmpty) {
      val next = rest.head
      if (same(next)) rest = next.children.toList ::: rest.tail
      else {
        operands += next
        rest = rest.tail
      }
    }
    operands.result()
  }

  private def refuse(e: Expression, what: String) =
    Left(Refusal(Converter.name(e), Refusal.OperandType, s"$what of type ${e.dataType.simpleString}"))
}
