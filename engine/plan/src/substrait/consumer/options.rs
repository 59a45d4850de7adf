//! Options of a function call: what the plan prefers, taken one by one; what nobody takes is refused.

use plasmon_core::Result;
use plasmon_core::expression::Overflow;
use substrait_prost::FunctionOption;

use crate::path::Path;

/// The options that are left.
pub(super) struct Options<'a> {
    left: Vec<&'a FunctionOption>,
}

impl<'a> Options<'a> {
    pub(super) fn new(options: &'a [FunctionOption]) -> Self {
        Options { left: options.iter().collect() }
    }

    /// The first preference of an option that is among those that the engine can do; `None` when it is not stated.
    pub(super) fn take(&mut self, name: &str, able: &[&'static str], at: &Path<'_>) -> Result<Option<&'static str>> {
        let Some(position) = self.left.iter().position(|o| o.name.eq_ignore_ascii_case(name)) else { return Ok(None) };
        let option = self.left.swap_remove(position);
        let mut preferred = option.preference.iter();
        let found = preferred.find_map(|p| able.iter().find(|a| a.eq_ignore_ascii_case(p)));
        match found {
            Some(found) => Ok(Some(found)),
            None if option.preference.is_empty() => Ok(None),
            None => Err(at.refuse(format!(
                "option {} = {} (the engine does {})",
                option.name,
                option.preference.join(" or "),
                able.join(", ")
            ))),
        }
    }

    /// What arithmetic does when a result does not fit; an error unless the plan lets values wrap.
    pub(super) fn overflow(&mut self, at: &Path<'_>) -> Result<Overflow> {
        Ok(match self.take("overflow", &["ERROR", "SILENT"], at)? {
            Some("SILENT") => Overflow::Wrap,
            _ => Overflow::Fail,
        })
    }

    /// Refuses what is left.
    pub(super) fn finish(self, at: &Path<'_>) -> Result<()> {
        match self.left.first() {
            Some(option) => Err(at.refuse(format!("option {} = {}", option.name, option.preference.join(" or ")))),
            None => Ok(()),
        }
    }
}
