package org.apache.spark.sql.plasmon.expression

import org.apache.spark.sql.catalyst.expressions.{Left => _, Right => _, _}
import org.apache.spark.sql.plasmon.proto.Message
import org.apache.spark.sql.types.{DataTypes => _, _}

/** Functions of dates and timestamps. */
private[expression] object Temporals {
  import Form.{call, children, constants, modal, of, where, withZone}

  val forms: Seq[Form] = Seq(
    call("Year", "spark_year"),
    call("Quarter", "spark_quarter"),
    call("Month", "spark_month"),
    call("DayOfMonth", "spark_day"),
    call("DayOfYear", "spark_day_of_year"),
    call("DayOfWeek", "spark_day_of_week"),
    call("WeekDay", "spark_weekday"),
    call("WeekOfYear", "spark_week_of_year"),
    call("YearOfWeek", "spark_year_of_week"),
    of("Hour", "spark_hour")(withZone(children)),
    of("Minute", "spark_minute")(withZone(children)),
    of("Second", "spark_second")(withZone(children)),
    of("SecondWithFraction", "spark_second_with_fraction")(withZone(children)),
    call("LastDay", "spark_last_day"),
    modal("NextDay", "spark_next_day")(),
    call("AddMonths", "spark_add_months"),
    of("MonthsBetween", "spark_months_between")(withZone(children)),
    call("DateAdd", "spark_date_add"),
    call("DateSub", "spark_date_sub"),
    call("DateDiff", "spark_date_diff"),
    call("TruncDate", "spark_trunc"),
    of("TruncTimestamp", "spark_date_trunc")(withZone(children)),
    modal("MakeDate", "spark_make_date")(),
    of("DateFormatClass", "spark_date_format")(withZone(constants(1))),
    Form("GetTimestamp", "spark_parse_timestamp[_ansi]") { (e, c) =>
      if (e.dataType != TimestampType) refuse(e, e.dataType) else parse("spark_parse_timestamp", e, c)
    },
    Form("ToUnixTimestamp", "spark_to_unix_timestamp[_ansi], spark_unix_seconds")((e, c) => unixTimestamp(e, c)),
    Form("UnixTimestamp", "spark_to_unix_timestamp[_ansi], spark_unix_seconds")((e, c) => unixTimestamp(e, c)),
    of("FromUnixTime", "spark_from_unixtime")(withZone(constants(1))),
    call("ToUTCTimestamp", "spark_to_utc_timestamp"),
    call("FromUTCTimestamp", "spark_from_utc_timestamp"),
    of("SecondsToTimestamp", "spark_timestamp_seconds")(where(_ == LongType)(children)),
    of("MillisToTimestamp", "spark_timestamp_millis")(where(_ == LongType)(children)),
    of("MicrosToTimestamp", "spark_timestamp_micros")(where(_ == LongType)(children)),
    call("UnixSeconds", "spark_unix_seconds"),
    call("UnixMillis", "spark_unix_millis"),
    call("UnixMicros", "spark_unix_micros"),
    call("UnixDate", "spark_unix_date"),
    call("DateFromUnixDate", "spark_date_from_unix_date"))

  /** A text read by a constant pattern in the session's zone. */
  private def parse(function: String, e: Expression, converter: Converter): Either[Refusal, Message] =
    for {
      isAnsi <- Flags.boolean(e, "failOnError")
      arguments <- withZone(constants(1))(e, converter)
      result <- converter.callOf(function + Form.suffix(Form.failing(isAnsi)), arguments, e.dataType)
    } yield result

  /** Seconds since the epoch of a text, a timestamp or a date. */
  private def unixTimestamp(e: Expression, converter: Converter): Either[Refusal, Message] = {
    val moment = e.children.head
    moment.dataType match {
      case _: StringType => parse("spark_to_unix_timestamp", e, converter)
      case TimestampType => converter.call("spark_unix_seconds", Seq(moment), e.dataType)
      case other => refuse(e, other)
    }
  }

  private def refuse(e: Expression, dataType: DataType) =
    Left(Refusal(Converter.name(e), Refusal.OperandType, s"over ${dataType.simpleString}"))
}
