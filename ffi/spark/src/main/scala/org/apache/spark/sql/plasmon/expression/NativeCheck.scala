package org.apache.spark.sql.plasmon.expression

import java.nio.ByteBuffer
import java.util.{Collections, LinkedHashMap, Map => JavaMap}

import org.apache.spark.sql.catalyst.expressions.{Attribute, Expression}
import org.apache.spark.sql.plasmon.proto.{Message, PlanProto, TypeProto}
import org.apache.spark.sql.plasmon.proto.PlanNumbers.SimpleType

/**
 * Asks the engine itself, while Spark plans, whether it takes what was made of an expression: its reader checks names of functions, types of arguments and constant
 * patterns before any data moves. So what the library at hand does not know is left to Spark rather than a failure of the query.
 */
object NativeCheck {
  /** Why the engine refuses the plan of these bytes; `None` when it takes it. */
  type Reader = Array[Byte] => Option[String]

  private val AnswersMax = 4096

  @volatile private var reader: Option[Reader] = None

  /** The last answers: planning asks the same again and again. */
  private val answers: JavaMap[ByteBuffer, Option[String]] =
    Collections.synchronizedMap(new LinkedHashMap[ByteBuffer, Option[String]](16, 0.75f, true) {
      override def removeEldestEntry(eldest: JavaMap.Entry[ByteBuffer, Option[String]]): Boolean = size > AnswersMax
    })

  /** From now on this one is asked. Without any, nothing is. */
  def install(reader: Reader): Unit = {
    answers.clear()
    this.reader = Some(reader)
  }

  /** Why the engine refuses these expressions over rows of `input`. */
  private[expression] def expressions(all: Seq[Expression], made: Seq[Message], input: Seq[Attribute]): Option[Refusal] =
    if (reader.isEmpty || made.isEmpty) None
    else {
      val fields = all.map(e => PlanProto.field("", DataTypes.known(e.dataType), nullable = true))
      relation(PlanProto.relation(fields, PlanProto.project(rows(input), made)), all.map(Converter.name).distinct.mkString(", "))
    }

  /** Why the engine refuses the relation, which is made of `node`. */
  private[expression] def relation(relation: Message, node: String): Option[Refusal] = reader.flatMap { ask =>
    val bytes = PlanProto.plan(relation, Nil).bytes
    answers
      .computeIfAbsent(ByteBuffer.wrap(bytes), _ => ask(bytes))
      .map(Refusal(node, Refusal.Native, _))
  }

  /** A relation of the columns of `input` and no rows. Types that the engine lacks are not read by what was made, so any other will do. */
  private[expression] def rows(input: Seq[Attribute]): Message = {
    val fields = input.map { column =>
      PlanProto.field(column.name, DataTypes.toProto(column.dataType).getOrElse(TypeProto.simple(SimpleType.Null)), nullable = true)
    }
    PlanProto.relation(fields, PlanProto.values(Nil))
  }
}
