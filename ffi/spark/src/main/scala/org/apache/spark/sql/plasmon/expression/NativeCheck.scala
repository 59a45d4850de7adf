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
  /** What the engine says of the plan of these bytes: why it refuses it, `None` when it does not. */
  type Question = Array[Byte] => Option[String]

  private val AnswersMax = 4096

  /** A question with its last answers: planning asks the same again and again. */
  private final class Asked(question: Question) {
    private val answers: JavaMap[ByteBuffer, Option[String]] =
      Collections.synchronizedMap(new LinkedHashMap[ByteBuffer, Option[String]](16, 0.75f, true) {
        override def removeEldestEntry(eldest: JavaMap.Entry[ByteBuffer, Option[String]]): Boolean = size > AnswersMax
      })

    def apply(relation: Message): Option[String] = {
      val bytes = PlanProto.plan(relation, Nil).bytes
      answers.computeIfAbsent(ByteBuffer.wrap(bytes), _ => question(bytes))
    }
  }

  @volatile private var reader: Option[Asked] = None
  @volatile private var runner: Option[Asked] = None

  /** From now on these are asked: `reads` whether a plan is taken, `runs` whether it can be run. Without them, nothing is. */
  def install(reads: Question, runs: Question): Unit = {
    reader = Some(new Asked(reads))
    runner = Some(new Asked(runs))
  }

  /** Why the engine refuses these expressions over rows of `input`. */
  private[expression] def expressions(all: Seq[Expression], made: Seq[Message], input: Seq[Attribute]): Option[Refusal] =
    if (reader.isEmpty || made.isEmpty) None
    else {
      val fields = all.map(e => PlanProto.field("", DataTypes.known(e.dataType), nullable = true))
      relation(PlanProto.relation(fields, PlanProto.project(rows(input), made)), all.map(Converter.name).distinct.mkString(", "))
    }

  /** Why the engine refuses the relation, which is made of `node`. */
  private[expression] def relation(relation: Message, node: String): Option[Refusal] =
    reader.flatMap(_(relation)).map(Refusal(node, Refusal.Native, _))

  /** Why the engine cannot compute an expression that reads no column. It is computed: whether a pattern means the same there is found out when it is used. */
  private[expression] def constant(made: Message, dataType: Message, node: String): Option[Refusal] = {
    val row = PlanProto.relation(Nil, PlanProto.empty(oneRow = true))
    val relation = PlanProto.relation(Seq(PlanProto.field("", dataType, nullable = true)), PlanProto.project(row, Seq(made)))
    runner.flatMap(_(relation)).map(Refusal(node, Refusal.Native, _))
  }

  /** A relation of the columns of `input` and no rows. Types that the engine lacks are not read by what was made, so any other will do. */
  private[expression] def rows(input: Seq[Attribute]): Message = {
    val fields = input.map { column =>
      PlanProto.field(column.name, DataTypes.toProto(column.dataType).getOrElse(TypeProto.simple(SimpleType.Null)), nullable = true)
    }
    PlanProto.relation(fields, PlanProto.values(Nil))
  }
}
