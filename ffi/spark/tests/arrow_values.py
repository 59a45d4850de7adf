"""Values of an Arrow table as Python has them, but dates and times as the numbers that they are: Python's own know neither the year 0 nor 10000."""
import pyarrow as pa


def rows(table):
    """The rows of a table as tuples."""
    columns = [[value for chunk in column.chunks for value in values(chunk)] for column in table.columns]
    return list(zip(*columns)) if columns else [()] * table.num_rows


def values(array):
    """The values of an array: None, bool, int, float, Decimal, str, bytes, or tuples of those for nested ones."""
    kind = array.type
    if pa.types.is_date32(kind):
        return array.cast(pa.int32()).to_pylist()
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind) or pa.types.is_time64(kind):
        return array.cast(pa.int64()).to_pylist()
    if pa.types.is_struct(kind):
        fields = zip(*(values(array.field(i)) for i in range(kind.num_fields))) if kind.num_fields else [()] * len(array)
        return [tuple(v) if there else None for v, there in zip(fields, array.is_valid().to_pylist())]
    if pa.types.is_map(kind):
        pairs = list(zip(values(array.keys), values(array.items)))
        return lists(array, pairs)
    if pa.types.is_list(kind):
        return lists(array, values(array.values))
    if pa.types.is_string(kind):
        # Spark's texts may be any bytes.
        return [None if value is None else value.decode("utf-8", "surrogateescape") for value in array.cast(pa.binary()).to_pylist()]
    return array.to_pylist()


def lists(array, flat):
    """The flat values of a list or map array, cut into its lists."""
    offsets, there = array.offsets.to_pylist(), array.is_valid().to_pylist()
    return [tuple(flat[low:high]) if valid else None for low, high, valid in zip(offsets, offsets[1:], there)]
