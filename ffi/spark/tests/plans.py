"""What an executed plan is made of, read through py4j after the query ran: adaptive execution settles only then."""
import collections

#: Operators that do no work of their own, or only hand rows over at the end.
NEUTRAL = {
    "AdaptiveSparkPlanExec", "AQEShuffleReadExec", "BroadcastQueryStageExec", "ColumnarToRowExec", "InputAdapter", "ResultQueryStageExec", "ReusedExchangeExec",
    "ReusedSubqueryExec", "ShuffleQueryStageExec", "SubqueryAdaptiveBroadcastExec", "SubqueryBroadcastExec", "SubqueryExec", "TableCacheQueryStageExec", "WholeStageCodegenExec",
}
#: What stands between a query's root and the sort that orders its rows.
ABOVE_SORT = {"GlobalLimit", "LocalLimit", "Offset", "Project"}


def sequence(seq):
    """A Scala sequence as a list."""
    return [seq.apply(i) for i in range(seq.size())]


def name_of(node):
    return node.getClass().getSimpleName()


def below(name, node):
    """What runs beneath a node, also where adaptive execution keeps it apart from the children."""
    if name in ("ReusedExchangeExec", "ReusedSubqueryExec"):
        return []
    if name == "AdaptiveSparkPlanExec":
        found = [node.executedPlan()]
    elif name.endswith("QueryStageExec"):
        found = [node.plan()]
    elif name == "PlasmonScanExec":
        # Its child tells Spark's rules what is scanned, and does not run; what prunes its files does.
        found = [pruning for scan in sequence(node.children()) for pruning in sequence(scan.subqueries())]
    elif name == "InMemoryTableScanExec":
        found = [node.relation().cachedPlan()]
    else:
        found = sequence(node.children())
    return found + sequence(node.subqueries())


def working(node):
    """A node and all below it, with their class names; nothing of what has no rows to work on, because adaptive execution found its inputs empty."""
    name = name_of(node)
    if name == "ReusedExchangeExec":
        return [(name, node)] if working(node.child()) else []
    inputs = [working(child) for child in below(name, node)]
    if name == "EmptyRelationExec" or inputs and not any(inputs):
        return []
    return [(name, node)] + [found for each in inputs for found in each]


def nodes(frame):
    """All operators that a query was run by, with their class names."""
    return working(frame._jdf.queryExecution().executedPlan())


def names(frame):
    """The class names of all operators that a query was run by."""
    return [name for name, _ in nodes(frame)]


def foreign_and_native(frame):
    """Operators that are not the plugin's, with how often each is there, and how many are."""
    found = collections.Counter(n for n in names(frame) if n not in NEUTRAL)
    native = sum(count for name, count in found.items() if name.startswith("Plasmon"))
    return {name: count for name, count in found.items() if not name.startswith("Plasmon")}, native


def reasons(frame):
    """Why operators were left to Spark, as the plugin tells."""
    report = frame.sparkSession._jvm.dev.plasmon.spark.FallbackReport.of(frame._jdf.queryExecution().executedPlan())
    return [f"{reason.node()}: {reason.reason()}: {reason.detail()}" for reason in report]


def order(frame):
    """The positions of the columns that a query orders its rows by, as far as they are among its columns, and whether a limit cuts the rows."""
    node = frame._jdf.queryExecution().optimizedPlan()
    position = {attribute.exprId().id(): i for i, attribute in enumerate(sequence(node.output()))}
    limited = False
    while name_of(node) in ABOVE_SORT:
        limited |= name_of(node).endswith("Limit")
        node = node.child()
    keys = []
    for sort in sequence(node.order()) if name_of(node) == "Sort" else []:
        by = sort.child()
        if name_of(by) != "AttributeReference" or by.exprId().id() not in position:
            break
        keys.append(position[by.exprId().id()])
    return keys, limited
