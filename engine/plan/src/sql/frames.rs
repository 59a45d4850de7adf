//! Window frames that the planner library would refuse.

use arrow::datatypes::DataType;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, DataFusionError};
use datafusion_expr::expr::Sort;
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{Expr, ExprSchemable, LogicalPlan, WindowFrame, WindowFrameBound, WindowFrameUnits};

/// Whether the library knows distances between values of a type.
fn has_distance(data_type: &DataType) -> bool {
    use DataType::*;
    match data_type {
        Boolean | Null | Date32 | Date64 | Timestamp(..) | List(_) | LargeList(_) | FixedSizeList(..) => true,
        Dictionary(_, values) => has_distance(values),
        other => other.is_numeric() || other.is_string(),
    }
}

/// RANGE frames that measure no distance are GROUPS frames: the library wants distances of every RANGE, and some types have none.
pub(super) fn by_peers(plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
    let measures = |bound: &WindowFrameBound| match bound {
        WindowFrameBound::Preceding(distance) | WindowFrameBound::Following(distance) => !distance.is_null(),
        WindowFrameBound::CurrentRow => false,
    };
    let has_no_distance = |order: &[Sort], schema: &DFSchema| {
        order.iter().any(|key| key.expr.get_type(schema).is_ok_and(|data_type| !has_distance(&data_type)))
    };
    let rewritten = plan.transform_up_with_subqueries(|node| {
        if !matches!(node, LogicalPlan::Window(_)) {
            return Ok(Transformed::no(node));
        }
        let schema = merge_schema(&node.inputs());
        let names = NamePreserver::new_for_projection();
        node.map_expressions(|e| {
            let name = names.save(&e);
            let rewritten = e.transform_up(|mut e| {
                let Expr::WindowFunction(call) = &mut e else { return Ok(Transformed::no(e)) };
                let params = &mut call.params;
                let frame = &params.window_frame;
                if frame.units == WindowFrameUnits::Range
                    && !measures(&frame.start_bound)
                    && !measures(&frame.end_bound)
                    && has_no_distance(&params.order_by, &schema)
                {
                    let bounds = (frame.start_bound.clone(), frame.end_bound.clone());
                    params.window_frame = WindowFrame::new_bounds(WindowFrameUnits::Groups, bounds.0, bounds.1);
                    return Ok(Transformed::yes(e));
                }
                Ok(Transformed::no(e))
            })?;
            Ok(rewritten.update_data(|e| name.restore(e)))
        })
    })?;
    Ok(rewritten.data)
}
