package org.apache.spark.sql.plasmon.expression

import org.apache.spark.sql.catalyst.expressions.{Left => _, Right => _, _}
import org.apache.spark.sql.catalyst.expressions.objects.StaticInvoke
import org.apache.spark.sql.plasmon.proto.{ExpressionProto, Message}
import org.apache.spark.sql.types.{DataTypes => _, _}

/** Functions of texts and binaries. */
private[expression] object Texts {
  import Form.{call, modal, of, where}

  val forms: Seq[Form] = Seq(
    call("Substring", "spark_substring"),
    call("Upper", "spark_upper"),
    call("Lower", "spark_lower"),
    call("StringTrim", "spark_trim"),
    call("StringTrimLeft", "spark_ltrim"),
    call("StringTrimRight", "spark_rtrim"),
    of("StringLPad", "spark_lpad")(where(isTextOrInt)(Form.children)),
    of("StringRPad", "spark_rpad")(where(isTextOrInt)(Form.children)),
    Form("Concat", "||, spark_concat")((e, c) => concat(e, c)),
    call("ConcatWs", "spark_concat_ws"),
    call("StringInstr", "spark_instr"),
    call("StringLocate", "spark_locate"),
    call("StringReplace", "spark_replace"),
    call("StringTranslate", "spark_translate"),
    call("StringRepeat", "spark_repeat"),
    Form("Reverse", "spark_reverse, spark_array_reverse") { (e, c) =>
      c.call(if (e.dataType.isInstanceOf[ArrayType]) "spark_array_reverse" else "spark_reverse", e.children, e.dataType)
    },
    call("Ascii", "spark_ascii"),
    call("Chr", "spark_chr"),
    call("Length", "spark_length"),
    call("OctetLength", "spark_octet_length"),
    call("BitLength", "spark_bit_length"),
    call("StartsWith", "spark_starts_with"),
    call("EndsWith", "spark_ends_with"),
    call("Contains", "spark_contains"),
    call("SubstringIndex", "spark_substring_index"),
    call("Levenshtein", "spark_levenshtein"),
    call("SoundEx", "spark_soundex"),
    call("Hex", "spark_hex"),
    lenient("Unhex", "spark_unhex"),
    lenient("UnBase64", "spark_unbase64"),
    of("FormatNumber", "spark_format_number")(where(_.isInstanceOf[NumericType])(Form.children)),
    of("Overlay", "spark_overlay")(where(isTextOrInt)(Form.children)),
    call("FindInSet", "spark_find_in_set"),
    modal("Elt", "spark_elt")(where(isTextOrInt)(Form.children)),
    call("StringSpace", "spark_space"),
    call("Empty2Null", "spark_empty_to_null"),
    Form("Like", "Like")((e, c) => like(e.asInstanceOf[Like], c)),
    Form("RLike", "spark_rlike")((e, c) => matching("spark_rlike", e, e.children.tail, c)),
    Form("RegExpExtract", "spark_regexp_extract")((e, c) => matching("spark_regexp_extract", e, e.children.tail, c)),
    Form("StringSplit", "spark_split")((e, c) => Form.typedNull(e.dataType).flatMap(kind => matching("spark_split", e, e.children.tail, c, Seq(kind)))),
    Form("RegExpReplace", "spark_regexp_replace")((e, c) => regexpReplace(e.asInstanceOf[RegExpReplace], c)),
    call("Crc32", "spark_crc32"),
    call("Md5", "spark_md5"),
    call("Sha1", "spark_sha1"),
    call("Sha2", "spark_sha2"),
    Form("StaticInvoke", "spark_char_read_padding, spark_char_write_check, spark_varchar_write_check, spark_base64") { (e, c) =>
      staticInvoke(e.asInstanceOf[StaticInvoke], c)
    })

  private def isTextOrInt(dataType: DataType) = dataType.isInstanceOf[StringType] || dataType == IntegerType

  /** A function that gives null for what it cannot read; where Spark would fail, it is refused. */
  private def lenient(expression: String, function: String): Form =
    Form(expression, function) { (e, converter) =>
      Flags.boolean(e, "failOnError").flatMap {
        case true => Left(Refusal(expression, Refusal.Mode, "failOnError"))
        case false => converter.call(function, e.children, e.dataType)
      }
    }

  /** Of texts, two at a time; of binaries by a function. */
  private def concat(e: Expression, converter: Converter): Either[Refusal, Message] = e.dataType match {
    case text: StringType =>
      converter.all(e.children).map(_.reduceOption((a, b) => ExpressionProto.call("||", Seq(a, b), DataTypes.known(text)))).map {
        _.getOrElse(Form.text(""))
      }
    case BinaryType if e.children.nonEmpty => converter.call("spark_concat", e.children, e.dataType)
    case other => Left(Refusal("Concat", Refusal.OperandType, s"over ${other.simpleString}"))
  }

  /**
   * LIKE with a constant pattern. Spark fails on a pattern that ends in the escape character or has it before another character than `_`, `%` and itself; the
   * engine takes these.
   */
  private def like(e: Like, converter: Converter): Either[Refusal, Message] = e.right match {
    case literal: Literal if literal.value == null => Literals.literal(null, BooleanType)
    case literal: Literal if isEscapedWell(literal.value.toString, e.escapeChar) =>
      converter.all(e.children).map(sides => ExpressionProto.like(sides.head, sides(1), e.escapeChar.toString))
    case other => Left(Refusal("Like", Refusal.Argument, s"the pattern $other"))
  }

  private def isEscapedWell(pattern: String, escape: Char): Boolean = {
    val rest = pattern.iterator
    var isWell = escape != '_' && escape != '%'
    while (isWell && rest.hasNext) {
      if (rest.next() == escape) isWell = rest.hasNext && Set('_', '%', escape).contains(rest.next())
    }
    isWell
  }

  /** A function of a text, a pattern and other constants, where the engine takes the pattern: those that it does mean the same as Java's. */
  private def matching(
      function: String,
      e: Expression,
      constants: Seq[Expression],
      converter: Converter,
      last: Seq[Message] = Nil): Either[Refusal, Message] =
    if (!constants.forall(_.isInstanceOf[Literal])) {
      Left(Refusal(Converter.name(e), Refusal.Argument, "a pattern, or what belongs to it, is no constant"))
    } else {
      for {
        text <- converter(e.children.head)
        others <- converter.all(constants).map(_ ++ last)
        dataType <- DataTypes.toProto(e.dataType)
        sample <- converter.callOf(function, Form.text("") +: others, e.dataType)
        _ <- NativeCheck.constant(sample, dataType, Converter.name(e)).toLeft(())
        result <- converter.callOf(function, text +: others, e.dataType)
      } yield result
    }

  private def regexpReplace(e: RegExpReplace, converter: Converter): Either[Refusal, Message] = e.pos match {
    case position: Literal if position.value == 1 => matching("spark_regexp_replace", e, Seq(e.regexp, e.rep), converter)
    case _ => Left(Refusal("RegExpReplace", Refusal.Argument, "a position other than 1"))
  }

  private val CharVarchar = "org.apache.spark.sql.catalyst.util.CharVarcharCodegenUtils"

  /** Calls of Spark's own static methods, by class and method. */
  private val methods = Map(
    (CharVarchar, "readSidePadding") -> "spark_char_read_padding",
    (CharVarchar, "charTypeWriteSideCheck") -> "spark_char_write_check",
    (CharVarchar, "varcharTypeWriteSideCheck") -> "spark_varchar_write_check")

  /** In one line, not in chunks. */
  private def isBase64(e: StaticInvoke): Boolean =
    e.staticObject == classOf[Base64] && e.functionName == "encode" && e.arguments.drop(1) == Seq(Literal(false))

  private def staticInvoke(e: StaticInvoke, converter: Converter): Either[Refusal, Message] =
    methods.get((e.staticObject.getName.stripSuffix("$"), e.functionName)) match {
      case Some(function) => converter.call(function, e.arguments, e.dataType)
      case None if isBase64(e) => converter.call("spark_base64", e.arguments.take(1), e.dataType)
      case None => Left(Refusal("StaticInvoke", Refusal.Expression, s"${e.staticObject.getName}.${e.functionName}"))
    }
}
