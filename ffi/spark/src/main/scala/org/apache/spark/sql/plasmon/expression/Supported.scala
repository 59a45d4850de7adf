package org.apache.spark.sql.plasmon.expression

/** The one table of what is native. Documentation and `fallbackReport` print it. */
object Supported {

  /** Every expression that has a native form, family by family. */
  val forms: Seq[Form] =
    Predicates.forms ++ Arithmetics.forms ++ Casts.forms ++ Maths.forms ++ Texts.forms ++ Temporals.forms ++ Collections.forms

  /** By the simple name of Spark's class. */
  val byName: Map[String, Form] = forms.map(form => form.expression -> form).toMap

  /** The aggregate functions, by the simple name of Spark's class, and what they become. */
  val aggregates: Seq[(String, String)] = AggregateForms.forms.map(form => form.function -> form.native)
}
