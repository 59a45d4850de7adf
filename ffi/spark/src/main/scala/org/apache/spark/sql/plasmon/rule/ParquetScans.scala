package org.apache.spark.sql.plasmon.rule

import org.apache.spark.sql.catalyst.expressions.FileSourceMetadataAttribute
import org.apache.spark.sql.execution.FileSourceScanExec
import org.apache.spark.sql.execution.datasources.parquet.ParquetFileFormat
import org.apache.spark.sql.internal.SQLConf
import org.apache.spark.sql.plasmon.expression.{DataTypes, Refusal}

/** Which file scans are read natively. */
private object ParquetScans {
  /** Metadata of a column that Spark's reader minds: a default for files without it, and a field number to find it by. */
  private val Minded = Seq("EXISTS_DEFAULT", "parquet.field.id")

  /** By key: the entries' own type differs between versions of Spark. */
  private val RebaseModes = Seq(SQLConf.PARQUET_INT96_REBASE_MODE_IN_READ.key, SQLConf.PARQUET_REBASE_MODE_IN_READ.key)

  def refusal(scan: FileSourceScanExec): Option[Refusal] = {
    val conf = scan.conf
    if (scan.relation.fileFormat.getClass != classOf[ParquetFileFormat]) refused("format", s"${scan.relation.fileFormat} is no Parquet")
    else if (conf.ignoreCorruptFiles || conf.ignoreMissingFiles) refused("setting", "files that are corrupt or missing are to be ignored")
    else if (scan.output.exists { case FileSourceMetadataAttribute(_) => true; case _ => false }) refused("metadata", "a column of file metadata")
    else if (scan.requiredSchema.exists(f => Minded.exists(f.metadata.contains))) refused("metadata", "a column with a default or a field number")
    else if (RebaseModes.exists(key => conf.getConfString(key) == "LEGACY")) refused("setting", "dates of the Julian calendar are to be rebased")
    else DataTypes.fields(scan.output).left.toOption
  }

  private def refused(what: String, detail: String) = Some(Refusal("FileSourceScan", s"scan.$what", detail))
}
