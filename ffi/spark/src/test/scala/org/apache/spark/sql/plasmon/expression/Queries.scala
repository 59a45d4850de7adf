package org.apache.spark.sql.plasmon.expression

import org.apache.spark.sql.SparkSession
import org.apache.spark.sql.catalyst.expressions.{Attribute, Expression, NamedExpression}
import org.apache.spark.sql.catalyst.plans.logical.{GlobalLimit, LocalLimit, LogicalPlan, Project}
import org.apache.spark.sql.execution.SparkPlan
import org.apache.spark.sql.execution.aggregate.BaseAggregateExec
import org.apache.spark.sql.plasmon.proto.{Message, ProtoSchema}

/** Real expressions and plans of Spark, made from SQL, over the table `t`. */
object Queries {

  lazy val spark: SparkSession = {
    val session = SparkSession
      .builder()
      .master("local[1]")
      .config("spark.ui.enabled", "false")
      .config("spark.sql.session.timeZone", "America/New_York")
      .config("spark.sql.shuffle.partitions", "2")
      .config("spark.sql.adaptive.enabled", "false")
      .getOrCreate()
    session.sql(
      """CREATE OR REPLACE TEMPORARY VIEW t AS SELECT
        |  CAST(id AS BOOLEAN) flag, CAST(id AS TINYINT) i8, CAST(id AS SMALLINT) i16, CAST(id AS INT) i32, id i64,
        |  CAST(id AS FLOAT) f32, CAST(id AS DOUBLE) f64, CAST(id AS DECIMAL(10, 2)) d10, CAST(id AS DECIMAL(38, 10)) d38,
        |  CAST(id AS DECIMAL(7, 2)) d7, CAST(id AS DECIMAL(15, 2)) d15,
        |  CAST(id AS STRING) s, CAST(CAST(id AS STRING) AS BINARY) b, DATE '2020-01-01' + CAST(id AS INT) d,
        |  TIMESTAMP_SECONDS(id) ts, ARRAY(id) a, MAP(CAST(id AS STRING), id) m, NAMED_STRUCT('x', id, 'y', CAST(id AS STRING)) st
        |FROM RANGE(4)""".stripMargin)
    session
  }

  /** With a setting for a while. */
  def withSetting[T](key: String, value: String)(body: => T): T = {
    val before = spark.conf.getOption(key)
    spark.conf.set(key, value)
    try body
    finally before.fold(spark.conf.unset(key))(spark.conf.set(key, _))
  }

  private val stay = Seq("ConvertToLocalRelation", "ConstantFolding", "ReorderAssociativeOperator")
    .map("org.apache.spark.sql.catalyst.optimizer." + _)
    .mkString(",")

  /** The expressions that SELECT gives over `t`, as they are in an optimized plan, and the columns that they read. */
  def expressions(select: String): (Seq[Expression], Seq[Attribute]) = withSetting("spark.sql.optimizer.excludedRules", stay) {
    // A filter that the optimizer cannot see through keeps the view's own projection apart.
    val query = s"SELECT $select FROM (SELECT * FROM t ORDER BY i64 LIMIT 3)"
    val plan = spark.sql(query).queryExecution.optimizedPlan
    project(plan)
  }

  private def project(plan: LogicalPlan): (Seq[Expression], Seq[Attribute]) = plan match {
    case project: Project => (project.projectList, project.child.output)
    // Spark puts what costs nothing below the limit.
    case limit: GlobalLimit => project(limit.child)
    case limit: LocalLimit => project(limit.child)
    case other => throw new IllegalStateException(s"no projection on top of\n$other")
  }

  /** The one expression, converted and shown. */
  def converted(expression: String): Either[Refusal, String] = {
    val (expressions, input) = this.expressions(s"$expression AS result")
    ExpressionConverter.convert(expressions.head, input).map(show)
  }

  def show(expression: Message): String = ProtoSchema.plan.show("Expression", expression.bytes)

  /** The aggregations of a query, the last first. */
  def aggregations(query: String): Seq[BaseAggregateExec] = nodes(spark.sql(query).queryExecution.executedPlan)

  private def nodes(plan: SparkPlan): Seq[BaseAggregateExec] = plan.collect { case node: BaseAggregateExec => node }

  def node(exec: BaseAggregateExec): AggregateNode =
    AggregateNode(exec.groupingExpressions, exec.aggregateExpressions, exec.aggregateAttributes, exec.resultExpressions: Seq[NamedExpression], mayRepeat = false)
}
