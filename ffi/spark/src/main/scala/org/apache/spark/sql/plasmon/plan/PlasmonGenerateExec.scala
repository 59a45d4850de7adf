package org.apache.spark.sql.plasmon.plan

import org.apache.spark.sql.catalyst.expressions.{Left => _, Right => _, _}
import org.apache.spark.sql.catalyst.plans.physical.Partitioning
import org.apache.spark.sql.execution.{SparkPlan, UnaryExecNode}
import org.apache.spark.sql.plasmon.execution.{BlockBuilder, NativeRelation}
import org.apache.spark.sql.plasmon.expression.{ExpressionConverter, Refusal, Subqueries}
import org.apache.spark.sql.plasmon.proto.PlanProto
import org.apache.spark.sql.types.{ArrayType, MapType, StructType}

/** A row for each element that a generator gives of a row; `outer`: rows of which it gives none are kept, with nulls. */
case class PlasmonGenerateExec(
    generator: Generator,
    requiredChildOutput: Seq[Attribute],
    outer: Boolean,
    generatorOutput: Seq[Attribute],
    child: SparkPlan)
    extends UnaryExecNode
    with PlasmonExec {
  override def output: Seq[Attribute] = requiredChildOutput ++ generatorOutput
  override def producedAttributes: AttributeSet = AttributeSet(generatorOutput)
  override def outputPartitioning: Partitioning = child.outputPartitioning

  /** Lists beside the columns that are kept; a row for each of their elements; and, where elements are structs to be taken apart, their fields. */
  override protected def build(block: BlockBuilder): NativeRelation = {
    val generated = PlasmonExec.now(Generated.of(generator, outer))
    val input = block.input(child)
    val kept = requiredChildOutput.size
    val lists = generated.lists.map(list => AttributeReference("list", list.dataType)())
    val listed = input.project(requiredChildOutput ++ lists, convertedAll(requiredChildOutput ++ generated.lists, child.output))

    val elements = lists.map(list => AttributeReference("element", list.dataType.asInstanceOf[ArrayType].elementType)())
    val outputs = requiredChildOutput.indices.map(PlanProto.unnestKeep) ++
      Seq.fill(generated.positions)(PlanProto.unnestPosition(kept)) ++ lists.indices.map(list => PlanProto.unnestElements(kept + list))
    val columns = if (generated.areFields) requiredChildOutput ++ elements else output
    val opened = NativeRelation.of(columns, PlanProto.unnest(listed.message, outputs, outer), listed)
    if (!generated.areFields) opened
    else {
      val fields = elements.head.dataType.asInstanceOf[StructType].indices.map(GetStructField(elements.head, _))
      opened.project(output, convertedAll(requiredChildOutput ++ fields, requiredChildOutput ++ elements))
    }
  }

  override protected def withNewChildInternal(child: SparkPlan): PlasmonGenerateExec = copy(child = child)
}

/** What a generator gives, as lists that are opened beside each other, with the numbers of their elements or not. `areFields`: of structs, field by field. */
private[plasmon] case class Generated(lists: Seq[Expression], positions: Int, areFields: Boolean)

private[plasmon] object Generated {
  def of(generator: Generator, outer: Boolean): Either[Refusal, Generated] = {
    val lists = generator match {
      case inline: Inline => Right(Generated(Seq(inline.child), 0, areFields = true))
      case explode: ExplodeBase =>
        val positions = if (explode.position) 1 else 0
        explode.child.dataType match {
          case _: MapType => Right(Generated(Seq(MapKeys(explode.child), MapValues(explode.child)), positions, areFields = false))
          case _ => Right(Generated(Seq(explode.child), positions, areFields = false))
        }
      case other => Left(Refusal(other.prettyName, Refusal.Operator, "the engine has no such generator"))
    }
    lists.filterOrElse(
      _.lists.forall(_.deterministic), Refusal(generator.prettyName, Refusal.Operator, "a generator of what is not the same each time"))
      .map(generated => if (outer) generated.copy(lists = generated.lists.map(nullIfEmpty)) else generated)
  }

  def refusal(generator: Generator, outer: Boolean, input: Seq[Attribute]): Option[Refusal] =
    of(generator, outer).flatMap(generated => ExpressionConverter.convertAll(generated.lists, input, Subqueries.StandIns)).left.toOption

  /** Rows with nulls are kept, those with empty lists are not. */
  private def nullIfEmpty(list: Expression): Expression =
    If(EqualTo(Size(list, legacySizeOfNull = false), Literal(0)), Literal.create(null, list.dataType), list)
}
